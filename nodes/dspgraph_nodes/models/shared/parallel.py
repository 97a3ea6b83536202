"""Training in several processes, each on batches of its own; the gradients are averaged before every update.

On a CPU two processes of one thread each train faster than one process of two threads.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed, nn

_PATIENCE = 1.0  # seconds


@dataclass(frozen=True)
class Group:
    """The processes of a training run. number: the number of this process, from 0; count: the number of processes."""

    number: int = 0
    count: int = 1

    def average(self, weights: Iterable[nn.Parameter]) -> None:
        """Replace the gradient of each weight by its mean over the processes. Weights without a gradient are left out.

        Every process must call it, with the same weights, of which the same ones have a gradient. Raises RuntimeError
        if another process has ended.
        """
        if self.count == 1:
            return
        gradients = [one.grad for one in weights if one.grad is not None]
        together = torch.cat([one.reshape(-1) for one in gradients])
        distributed.all_reduce(together)
        means = torch.split(together / self.count, [one.numel() for one in gradients])
        for one, mean in zip(gradients, means, strict=True):
            one.copy_(mean.view_as(one))


def in_processes(count: int, work: Callable[[Group], None]) -> None:
    """Call `work` in `count` processes, of which this one is number 0, and return when all have ended.

    When `work` returns in this process, the other processes are stopped, even if their work is not finished. `work`
    gets the `Group` with the number of its process. The other processes are copies of this process; torch must have one
    thread when they are made. An error of `work` in this process is raised. Another process whose work fails shows its
    error, and the processes that wait for it fail too.
    """
    if count == 1:
        work(Group())
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        children = [_started(number, count, meeting, work) for number in range(1, count)]
        try:
            _joined(Group(0, count), meeting, work)
        except RuntimeError:
            time.sleep(_PATIENCE)  # so that the process that failed can show its error
            raise
        finally:
            for child in children:
                os.kill(child, signal.SIGTERM)
                os.waitpid(child, 0)


def _joined(group: Group, meeting: Path, work: Callable[[Group], None]) -> None:
    distributed.init_process_group("gloo", init_method=meeting.as_uri(), rank=group.number, world_size=group.count)
    try:
        work(group)
    finally:
        distributed.destroy_process_group()


def _started(number: int, count: int, meeting: Path, work: Callable[[Group], None]) -> int:
    """Start a copy of this process that calls `work` as number `number` of `count`, and return its process id.

    meeting: the file by which the processes find each other. The copy ends when `work` has returned or failed; it
    shows an error on stderr. It ignores Ctrl-C, and ends at SIGTERM.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # process 0 tells the others to end
        _joined(Group(number, count), meeting, work)
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
