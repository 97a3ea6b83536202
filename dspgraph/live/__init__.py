"""Performances: graphs that events change while they run. The same events, rendered offline, give the same samples.

events        the kinds of events: a control moves, another graph is swapped in, a sound begins or stops
curves        the values of a control and the samples of played sounds, as functions of the time
transition    the fade from the outputs of one graph to those of another
performance   a running graph with its events
sounds        sound files that are played into inputs

The other modules run a performance through devices, in a process of its own:

live          the class Live, with which a program starts and controls a live graph
ports         the sources of its inputs, and the destinations of its outputs
process       the process in which it runs, and the requests of the program that are carried out there
engine        the computing, recording and counting in this process
exchange      the quanta that go between a device and the engine
frames        the items that a program pushes into an input
edge          the conversion between the rates of the graph and the device
second_clock  the resampling of a recording device with a clock of its own
device        the request to a device, and the format that the device offers
portaudio     the devices of the system
running       the interface of devices, the substitute for a device, and the thread of the engine
recorder      the files of a recording
writing       events as the lines of a file
"""
