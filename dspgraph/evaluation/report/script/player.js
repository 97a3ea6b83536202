const $ = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const { id: pageId, recordings, variants, anchor: anchorName } = JSON.parse($("data").textContent);
const main = $("main");
const ANCHOR = variants.length + 1; // the number of the anchor's sound
const named = (slot) => (slot === 0 ? "Reference" : slot === ANCHOR ? anchorName : variants[slot - 1]);

// Read and write what the browser keeps for this page. A browser may not allow storage: `write` says whether it did.
const storage = {
  read(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  write(key, text) {
    try {
      if (text === null) localStorage.removeItem(key);
      else localStorage.setItem(key, text);
      return true;
    } catch {
      return false;
    }
  },
};

// ---- colours --------------------------------------------------------------------------------------------------------

const theme = $("theme");
const paint = (choice) => {
  if (choice) document.documentElement.dataset.theme = choice;
  else delete document.documentElement.dataset.theme;
};
theme.value = storage.read("dspgraph-theme") ?? "";
paint(theme.value);
theme.addEventListener("change", () => {
  paint(theme.value);
  storage.write("dspgraph-theme", theme.value);
});

// ---- what can be played ---------------------------------------------------------------------------------------------

// A choice is a number with a key on the keyboard. Outside a test it is the number of a sound: 0 is the reference, 1, 2
// ... are the variants. In a test it is a place in `sounds` of the trial, which has the number of the sound there.
let blind = null; // the test that runs, made in tests.js
const now = { at: recordings.findIndex((one) => one.slots.length), choice: 0 }; // at: a recording, or a trial of the test

const stops = () => (blind ? blind.trials : recordings);
const recordingAt = (at) => (blind ? blind.trials[at].recording : at);
const recording = () => recordings[recordingAt(now.at)];
const soundOf = (choice) => (blind ? blind.trials[now.at].sounds[choice] : choice);
const filled = (at) => blind !== null || recordings[at].slots.length > 0;

// Return the choices at the current stop: [choice, label].
function choices() {
  if (!blind) return recording().slots.map((slot) => [slot, named(slot)]);
  const { sounds } = blind.trials[now.at];
  return sounds.map((slot, place) => [place, placeName(place, sounds.length)]).filter(([place]) => sounds[place] >= 0);
}
const label = () => choices().find(([choice]) => choice === now.choice)?.[1] ?? "";
const element = (slot) => $(`sound-${recordingAt(now.at)}-${slot}`);

// ---- sounds: made when first needed, kept while their stop is the current one (those of others are freed) ------------

const sounds = new Map(); // choice -> { audio, ready, at, on }; at, on: seek there, and play or not, once ready
let loaded = -1; // the stop whose sounds are in `sounds`

// Return an address that the player can seek in. Chromium cannot seek to every position of a short FLAC file, but can
// in a WAV file.
async function address(text) {
  if (!text.startsWith("data:")) return text;
  const letters = atob(text.slice(text.indexOf(",") + 1));
  const bytes = new Uint8Array(letters.length);
  for (let k = 0; k < bytes.length; k += 1) bytes[k] = letters.charCodeAt(k);
  const flac = new Blob([bytes], { type: "audio/flac" });
  try {
    const rate = (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4); // RFC 9639, section 8.2
    return URL.createObjectURL(wav(await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer)));
  } catch {
    return URL.createObjectURL(flac); // the browser cannot decode at this rate
  }
}

// Return samples as a WAV file of 32-bit floats, which hold 24-bit samples exactly.
function wav(sound) {
  const count = sound.numberOfChannels;
  const data = new Float32Array(sound.length * count);
  for (let channel = 0; channel < count; channel += 1) {
    sound.getChannelData(channel).forEach((value, k) => { data[k * count + channel] = value; });
  }
  const head = new DataView(new ArrayBuffer(44));
  const name = (at, text) => [...text].forEach((one, k) => head.setUint8(at + k, one.charCodeAt(0)));
  name(0, "RIFF");
  head.setUint32(4, 36 + data.byteLength, true);
  name(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 3, true);
  head.setUint16(22, count, true);
  head.setUint32(24, sound.sampleRate, true);
  head.setUint32(28, sound.sampleRate * count * 4, true);
  head.setUint16(32, count * 4, true);
  head.setUint16(34, 32, true);
  name(36, "data");
  head.setUint32(40, data.byteLength, true);
  return new Blob([head, data], { type: "audio/wav" });
}

function release() {
  for (const one of sounds.values()) {
    pause(one);
    one.ready = false;
    URL.revokeObjectURL(one.audio.src);
    one.audio.removeAttribute("src");
    one.audio.load();
    one.audio.remove();
  }
  sounds.clear();
  loaded = -1;
}

function sound(choice) {
  if (loaded !== now.at) release();
  loaded = now.at;
  if (!sounds.has(choice)) {
    const audio = make("audio", { preload: "auto", loop: $("loop").checked, volume: volume(soundOf(choice)) });
    const one = { audio, slot: soundOf(choice), ready: false, at: 0, on: false };
    for (const event of ["play", "pause", "ended", "seeked"]) audio.addEventListener(event, () => current() === one && show());
    audio.addEventListener("timeupdate", () => current() === one && repeat());
    audio.addEventListener("error", () => audio.hasAttribute("src") && say("This file cannot be played."));
    sounds.set(choice, one);
    $("sounds").append(audio);
    address(element(one.slot).textContent.trim()).then((url) => {
      if (sounds.get(choice) !== one) return URL.revokeObjectURL(url); // the page has moved on meanwhile
      audio.src = url;
      one.ready = true;
      seek(one, one.at);
      if (one.on) play(one);
      return show();
    });
  }
  return sounds.get(choice);
}

// Return the volume that gives a sound the loudness of the others, if loudness is matched.
const volume = (slot) => ($("match").checked ? recording().gains[slot] ?? 1 : 1);
$("match").addEventListener("change", () => {
  for (const { audio, slot } of sounds.values()) audio.volume = volume(slot);
});

function seek(one, at) {
  if (one.ready) one.audio.currentTime = at;
  else one.at = at;
}

function play(one) {
  one.on = true;
  if (one.ready) one.audio.play().catch((error) => error.name === "AbortError" || say("This file cannot be played."));
}

function pause(one) {
  if (one) one.on = false;
  one?.audio.pause();
}

const LARGE = 2e7; // characters: a longer sound is decoded only when it is played
function prepare() {
  for (const [choice] of choices()) {
    if (element(soundOf(choice)).textContent.length < LARGE) sound(choice);
  }
}

const current = () => (loaded === now.at ? sounds.get(now.choice) : undefined);
function playing() {
  const one = current();
  return Boolean(one && (one.ready ? !one.audio.paused && !one.audio.ended : one.on));
}
function position() {
  const one = current();
  return one ? (one.ready ? one.audio.currentTime : one.at) : 0;
}
const say = (text) => { $("status").textContent = text; };

// ---- moving about ---------------------------------------------------------------------------------------------------

function start() {
  if (part && (position() < part.from || position() >= part.to)) seek(sound(now.choice), part.from);
  play(sound(now.choice));
  setTimeout(prepare, 0);
}

function choose(choice, go) {
  const at = position();
  pause(current());
  now.choice = choice;
  if (at || go) seek(sound(choice), at);
  if (go) start();
  say(label());
  show();
  uncover();
}

function toggle() {
  if (playing()) pause(current());
  else start();
  show();
}

// Go to another stop, and there to the same choice if it exists.
function visit(at, choice, go) {
  pause(current());
  const before = now.choice;
  const same = recordingAt(at) === recordingAt(now.at);
  now.at = at;
  if (!same) setPart(null);
  const there = choices();
  now.choice = choice ?? (there.find(([one]) => one === before) ?? there[0])[0];
  if (go) start();
  list();
  say(`${blind ? `Trial ${at + 1}` : recording().id}, ${label()}`);
  show();
  uncover();
  if (blind) keep();
  if (blind && document.activeElement === document.body) main.focus({ preventScroll: true }); // the focused element is gone
  if (!blind) $(`recording-${at}`).scrollIntoView({ block: "nearest" });
}

function neighbour(step) {
  let at = now.at + step;
  while (at >= 0 && at < stops().length && !filled(at)) at += step;
  return at >= 0 && at < stops().length ? at : -1;
}

function move(step) {
  const at = neighbour(step);
  if (at >= 0) visit(at, undefined, playing());
}

// ---- a part that is repeated ----------------------------------------------------------------------------------------

let part = null; // or { from, to }, in seconds

function setPart(wanted) {
  part = wanted && wanted.to > wanted.from ? wanted : null;
  $("part").textContent = part ? `${part.from.toFixed(2)} to ${part.to.toFixed(2)} s repeats` : "";
  $("part-end").hidden = !part;
}
function repeat() {
  if (part && playing() && position() >= part.to) seek(current(), part.from);
}
const fromHere = () => setPart({ from: position(), to: part && part.to > position() ? part.to : recording().seconds });
const toHere = () => setPart({ from: part && part.from < position() ? part.from : 0, to: position() });
$("part-from").addEventListener("click", (event) => { calm(event); fromHere(); });
$("part-to").addEventListener("click", (event) => { calm(event); toHere(); });
$("part-end").addEventListener("click", (event) => { calm(event); setPart(null); });

// ---- what the player shows ------------------------------------------------------------------------------------------

let cards = []; // the elements of the choices in the page: { choice, box, verb, line }
let frame = 0;

// Make the buttons of the current stop in the player, and find its cards in the page.
function list() {
  const buttons = choices().map(([choice, text]) => {
    const button = make("button", { type: "button", className: "choice" });
    if (choice < 10) button.append(make("kbd", { ariaHidden: "true" }, String(choice)));
    button.append(make("bdi", { title: text }, text));
    button.addEventListener("click", (event) => { calm(event); choose(choice, playing()); });
    return { choice, button };
  });
  $("choices").replaceChildren(...buttons.map((one) => one.button));
  for (const { box, verb } of cards) {
    delete box.dataset.current;
    delete box.dataset.playing;
    verb.textContent = "Play";
  }
  cards = blind ? trialCards() : openCards();
  list.buttons = buttons;
  $("now").replaceChildren(make("bdi", {}, recording().id));
  $("previous").disabled = neighbour(-1) < 0;
  $("next").disabled = neighbour(1) < 0;
}

function openCards() {
  return recording().slots.map((slot) => {
    const box = $(`card-${now.at}-${slot}`);
    return { choice: slot, box, verb: box.querySelector(".verb"), line: box.querySelector(".head-line") };
  });
}

function show() {
  const on = playing();
  document.body.toggleAttribute("data-sounding", on);
  for (const { choice, button } of list.buttons) button.setAttribute("aria-pressed", String(choice === now.choice));
  for (const { choice, box, verb } of cards) {
    box.toggleAttribute("data-current", choice === now.choice);
    box.toggleAttribute("data-playing", on && choice === now.choice);
    verb.textContent = on && choice === now.choice ? "Pause" : "Play";
  }
  $("toggle").toggleAttribute("data-playing", on);
  $("toggle").setAttribute("aria-label", on ? "Pause" : "Play");
  showTime();
  cancelAnimationFrame(frame);
  if (on) frame = requestAnimationFrame(run);
}

// Scroll the row of buttons until the chosen one is visible.
function uncover() {
  const chosen = list.buttons.find(({ choice }) => choice === now.choice).button;
  $("choices").scrollLeft = chosen.offsetLeft - list.buttons[0].button.offsetLeft;
}

function run() {
  repeat();
  showTime();
  if (playing()) frame = requestAnimationFrame(run);
}

function showTime() {
  const { seconds } = recording();
  const at = position();
  follow(at);
  const line = cards.find(({ choice }) => choice === now.choice)?.line;
  line?.style.setProperty("left", `${inPicture(at)}%`);
  $("seek").max = seconds;
  if (document.activeElement !== $("seek") || playing()) $("seek").value = at;
  $("seek").setAttribute("aria-valuetext", `${at.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
  $("time").textContent = `${at.toFixed(1)} / ${seconds.toFixed(1)} s`;
}

// After a click with a pointer, give the keys back to the player: the button loses the focus.
const calm = (event) => event.detail && event.currentTarget.blur();

$("toggle").addEventListener("click", (event) => { calm(event); toggle(); });
$("previous").addEventListener("click", (event) => { calm(event); move(-1); });
$("next").addEventListener("click", (event) => { calm(event); move(1); });
$("seek").addEventListener("input", () => { seek(sound(now.choice), Number($("seek").value)); showTime(); });
$("loop").addEventListener("change", () => { for (const { audio } of sounds.values()) audio.loop = $("loop").checked; });

function press(at, choice) {
  if (at !== now.at) visit(at, choice, true);
  else if (choice === now.choice) toggle();
  else choose(choice, true);
}

main.addEventListener("click", (event) => {
  const button = event.target.closest("button.play[data-slot]");
  if (button) {
    if (event.detail) button.blur();
    press(Number(button.dataset.recording), Number(button.dataset.slot));
    return;
  }
  const picture = event.target.closest(".picture");
  if (!picture) return;
  const { recording: at, slot } = picture.closest(".card").querySelector("button.play").dataset;
  if (Number(at) !== now.at) visit(Number(at), Number(slot), false);
  else if (Number(slot) !== now.choice) choose(Number(slot), playing());
  const box = picture.getBoundingClientRect();
  seek(sound(now.choice), secondsAt((event.clientX - box.left) / box.width));
  show();
});

// The end of the page can be scrolled out from under the player.
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--bar", `${target.offsetHeight}px`)).observe($("player"));

// ---- keys -----------------------------------------------------------------------------------------------------------

const KEYS = { j: () => move(1), k: () => move(-1), "[": fromHere, "]": toHere, "+": () => zoomBy(2), "-": () => zoomBy(0.5) };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if ($("player").hidden || now.at < 0 || !$("shortcuts").checked) return;
  const at = event.target instanceof Element ? event.target : document.body;
  if (at.closest("textarea, select, input:not([type=checkbox], [type=radio], [type=range])")) return;
  if (event.key === " ") {
    if (at.closest("button, summary, a, input:not([type=range])")) return; // the space bar presses the focused element
    if (!event.repeat) toggle();
  } else if (/^[0-9]$/.test(event.key)) {
    const found = choices().find(([choice]) => choice === Number(event.key));
    if (!found) say(`There is no sound with the key ${event.key}.`);
    else if (found[0] !== now.choice) choose(found[0], playing());
    if (found && blind) focusSlider(found[0]);
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    if (at.closest("input, .scroll, .choices")) return; // the arrow keys move the focused element
    move(event.key === "ArrowRight" ? 1 : -1);
  } else if (KEYS[event.key]) {
    KEYS[event.key]();
  } else if (!(blind && answerBy(event.key))) {
    return;
  }
  event.preventDefault();
});
