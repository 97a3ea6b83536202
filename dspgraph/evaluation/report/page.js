"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const { recordings, variants } = JSON.parse($("data").textContent);
  const main = $("main");
  const named = (slot) => (slot === 0 ? "Reference" : variants[slot - 1]);

  // ---- colours ------------------------------------------------------------------------------------------------------

  const theme = $("theme");
  const paint = (choice) => {
    if (choice) document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
  };
  try {
    theme.value = localStorage.getItem("dspgraph-theme") ?? "";
  } catch { /* a browser may not allow storage */ }
  paint(theme.value);
  theme.addEventListener("change", () => {
    paint(theme.value);
    try {
      localStorage.setItem("dspgraph-theme", theme.value);
    } catch { /* as above */ }
  });

  // ---- sounds: made when first needed, kept while their recording is the current one (those of others are freed) ----

  const sounds = new Map(); // slot -> { audio, ready, at, on }; at, on: seek there, and play or not, once ready
  const now = { recording: recordings.findIndex((one) => one.slots.length), slot: 0 };
  let blind = null; // or { orders, answers }
  let loaded = -1; // the recording whose sounds are in `sounds`

  // Return an address that the player can seek in. Chromium cannot seek to every position of a short FLAC file, but
  // can in a WAV file.
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
  }

  function sound(slot) {
    if (loaded !== now.recording) release();
    loaded = now.recording;
    if (!sounds.has(slot)) {
      const audio = make("audio", { preload: "auto", loop: $("loop").checked });
      const one = { audio, ready: false, at: 0, on: false };
      for (const event of ["play", "pause", "ended", "seeked"]) audio.addEventListener(event, () => current() === one && show());
      audio.addEventListener("error", () => audio.hasAttribute("src") && say("This file cannot be played."));
      sounds.set(slot, one);
      $("sounds").append(audio);
      address($(`sound-${now.recording}-${slot}`).textContent.trim()).then((url) => {
        if (sounds.get(slot) !== one) return URL.revokeObjectURL(url); // another recording has been chosen meanwhile
        audio.src = url;
        one.ready = true;
        seek(one, one.at);
        if (one.on) play(one);
        return show();
      });
    }
    return sounds.get(slot);
  }

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
    for (const [slot] of choices()) {
      if ($(`sound-${now.recording}-${slot}`).textContent.length < LARGE) sound(slot);
    }
  }

  const current = () => (loaded === now.recording ? sounds.get(now.slot) : undefined);
  function playing() {
    const one = current();
    return Boolean(one && (one.ready ? !one.audio.paused && !one.audio.ended : one.on));
  }
  function position() {
    const one = current();
    return one ? (one.ready ? one.audio.currentTime : one.at) : 0;
  }
  const say = (text) => { $("status").textContent = text; };

  // Return the sounds of the current recording, in the order of the keys from 0: [slot, label].
  function choices() {
    const { slots } = recordings[now.recording];
    if (!blind) return slots.map((slot) => [slot, named(slot)]);
    const order = blind.orders[now.recording].map((slot, place) => [slot, letter(place)]);
    return slots.includes(0) ? [[0, "Reference"], ...order] : order;
  }
  const label = () => choices().find(([slot]) => slot === now.slot)?.[1] ?? "";

  // Return the digit of a choice: its slot, or in blind mode its place. The reference is 0.
  const digit = (slot) => (blind && slot ? blind.orders[now.recording].indexOf(slot) + 1 : slot);

  function start() {
    play(sound(now.slot));
    setTimeout(prepare, 0);
  }

  function choose(slot, go) {
    const at = position();
    pause(current());
    now.slot = slot;
    if (at || go) seek(sound(slot), at);
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

  // Go to another recording, and there to the same choice if it exists (in blind mode: to the same letter).
  function visit(recording, slot, go) {
    const place = blind ? digit(now.slot) : now.slot;
    pause(current());
    now.recording = recording;
    const there = choices();
    const wanted = slot ?? there.find(([one]) => digit(one) === place)?.[0] ?? there[0][0];
    now.slot = wanted;
    if (go) start();
    say(`${recordings[recording].id}, ${label()}`);
    list();
    show();
    uncover();
    if (blind && document.activeElement === document.body) main.focus({ preventScroll: true }); // the focused element is gone
    if (!blind) $(`recording-${recording}`).scrollIntoView({ block: "nearest" });
  }

  const filled = (recording) => (blind ? blind.orders[recording].length : recordings[recording].slots.length) > 0;

  function neighbour(step) {
    let at = now.recording + step;
    while (at >= 0 && at < recordings.length && !filled(at)) at += step;
    return at >= 0 && at < recordings.length ? at : -1;
  }

  function move(step) {
    const at = neighbour(step);
    if (at >= 0) visit(at, undefined, playing());
  }

  // ---- what the player shows ----------------------------------------------------------------------------------------

  let cards = []; // the elements of the choices in the page: { slot, box, button, verb }
  let frame = 0;

  // Make the buttons of the current recording in the player, and find its cards in the page.
  function list() {
    const buttons = choices().map(([slot, text]) => {
      const key = digit(slot);
      const button = make("button", { type: "button", className: "choice" });
      if (key < 10) button.append(make("kbd", { ariaHidden: "true" }, String(key)));
      button.append(make("bdi", { title: text }, text));
      button.addEventListener("click", (event) => { calm(event); choose(slot, playing()); });
      return { slot, button };
    });
    $("choices").replaceChildren(...buttons.map((one) => one.button));
    for (const { box, verb } of cards) {
      delete box.dataset.current;
      delete box.dataset.playing;
      verb.textContent = "Play";
    }
    cards = blind ? letters() : openCards();
    list.buttons = buttons;
    $("now").replaceChildren(make("bdi", {}, recordings[now.recording].id));
    $("previous").disabled = neighbour(-1) < 0;
    $("next").disabled = neighbour(1) < 0;
  }

  function openCards() {
    return recordings[now.recording].slots.map((slot) => {
      const box = $(`card-${now.recording}-${slot}`);
      return { slot, box, verb: box.querySelector(".verb"), line: box.querySelector(".head-line") };
    });
  }

  function show() {
    const on = playing();
    document.body.toggleAttribute("data-sounding", on);
    for (const { slot, button } of list.buttons) button.setAttribute("aria-pressed", String(slot === now.slot));
    for (const { slot, box, verb } of cards) {
      box.toggleAttribute("data-current", slot === now.slot);
      box.toggleAttribute("data-playing", on && slot === now.slot);
      verb.textContent = on && slot === now.slot ? "Pause" : "Play";
    }
    $("toggle").toggleAttribute("data-playing", on);
    $("toggle").setAttribute("aria-label", on ? "Pause" : "Play");
    showTime();
    cancelAnimationFrame(frame);
    if (on) frame = requestAnimationFrame(run);
  }

  // Scroll the row of buttons until the chosen one is visible.
  function uncover() {
    const chosen = list.buttons.find(({ slot }) => slot === now.slot).button;
    $("choices").scrollLeft = chosen.offsetLeft - list.buttons[0].button.offsetLeft;
  }

  function run() {
    showTime();
    if (playing()) frame = requestAnimationFrame(run);
  }

  function showTime() {
    const { seconds } = recordings[now.recording];
    const at = position();
    const line = cards.find(({ slot }) => slot === now.slot)?.line;
    line?.style.setProperty("left", `${Math.min(100, (100 * at) / seconds)}%`);
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
  $("seek").addEventListener("input", () => { seek(sound(now.slot), Number($("seek").value)); showTime(); });
  $("loop").addEventListener("change", () => { for (const { audio } of sounds.values()) audio.loop = $("loop").checked; });

  function press(recording, slot) {
    if (recording !== now.recording) visit(recording, slot, true);
    else if (slot === now.slot) toggle();
    else choose(slot, true);
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
    const { recording, slot } = picture.parentElement.querySelector("button.play").dataset;
    const box = picture.getBoundingClientRect();
    if (Number(recording) !== now.recording) visit(Number(recording), Number(slot), false);
    else if (Number(slot) !== now.slot) choose(Number(slot), playing());
    seek(sound(now.slot), recordings[now.recording].seconds * Math.max(0, (event.clientX - box.left) / box.width));
    show();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (now.recording < 0 || !$("shortcuts").checked) return;
    const at = event.target instanceof Element ? event.target : document.body;
    if (at.closest("textarea, select, input:not([type=checkbox], [type=radio], [type=range])")) return;
    if (event.key === " ") {
      if (at.closest("button, summary, a, input:not([type=range])")) return; // the space bar presses the focused element
      if (!event.repeat) toggle();
    } else if (/^[0-9]$/.test(event.key)) {
      const found = choices().find(([slot]) => digit(slot) === Number(event.key));
      if (!found) say(`There is no sound with the key ${event.key}.`);
      else if (found[0] !== now.slot) choose(found[0], playing());
    } else if (event.key === "j" || event.key === "k") {
      move(event.key === "j" ? 1 : -1);
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      if (at.closest("input, .scroll, .choices")) return; // the arrow keys move the focused element
      move(event.key === "ArrowRight" ? 1 : -1);
    } else {
      return;
    }
    event.preventDefault();
  });

  // ---- tables -------------------------------------------------------------------------------------------------------

  const words = new Intl.Collator(undefined, { numeric: true });

  // Sort the rows by a column. Rows without a value stay at the end.
  function sort(button) {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const first = button.dataset.first === "down" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = head.getAttribute("aria-sort") === first ? other : first;
    for (const one of head.parentElement.children) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const numbers = head.classList.contains("number");
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      if (!left || !right) return Number(!left) - Number(!right);
      return sign * (numbers ? Number(left) - Number(right) : words.compare(left, right));
    });
    body.append(...rows);
  }
  for (const button of document.querySelectorAll("button.sort")) button.addEventListener("click", () => sort(button));

  // ---- blind listening ----------------------------------------------------------------------------------------------

  const letter = (place) => {
    const more = Math.floor(place / 26);
    return (more ? letter(more - 1) : "") + String.fromCharCode(65 + (place % 26));
  };
  const NONE = "none";
  let last = null; // the last finished blind session
  let unsaved = false;
  let opened = null; // the content of the page outside blind mode

  function shuffled(slots) {
    const order = [...slots];
    const draw = new Uint32Array(1);
    for (let k = order.length - 1; k > 0; k -= 1) {
      const other = crypto.getRandomValues(draw)[0] % (k + 1);
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order;
  }

  function enter() {
    if (unsaved && !confirm("The preferences of the last session have not been downloaded. Start a new session?")) return;
    pause(current());
    release();
    loaded = -1;
    blind = {
      orders: recordings.map((one) => shuffled(one.slots.filter((slot) => slot > 0))),
      answers: recordings.map(() => ({ choice: "", comment: "" })),
    };
    unsaved = false;
    opened = document.createDocumentFragment();
    opened.append(...main.childNodes);
    main.append($("blind-view").content.cloneNode(true));
    $("blind").hidden = true;
    $("step-back").addEventListener("click", () => move(-1));
    $("step-on").addEventListener("click", () => move(1));
    $("download").addEventListener("click", () => download(blind));
    $("reveal").addEventListener("click", reveal);
    $("comment").addEventListener("input", () => {
      blind.answers[now.recording].comment = $("comment").value;
      unsaved = true;
    });
    const first = recordings.findIndex((_, at) => filled(at));
    now.recording = first;
    now.slot = blind.orders[first][0];
    list();
    show();
    main.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  // Make the choices and the questions of the current recording. Nothing in them reveals a name.
  function letters() {
    const made = choices().map(([slot, text]) => {
      const verb = make("span", { className: "unseen verb" }, "Play");
      const button = make("button", { type: "button", className: "play" },
        make("span", { className: "disc" }, ...$("toggle").cloneNode(true).childNodes), verb, " ", make("span", { className: "label" }, text));
      const key = digit(slot);
      if (key < 10) button.append(make("kbd", { ariaHidden: "true" }, String(key)));
      button.addEventListener("click", (event) => { calm(event); press(now.recording, slot); });
      return { slot, box: make("li", { className: "card" }, button), verb };
    });
    $("letters").replaceChildren(...made.map((one) => one.box));
    const answer = blind.answers[now.recording];
    const options = [...blind.orders[now.recording].map((_, place) => [letter(place), letter(place)]), [NONE, "No preference"]];
    $("answers").replaceChildren(...options.map(([value, text]) => {
      const input = make("input", { type: "radio", name: "preferred", value, checked: answer.choice === value });
      input.addEventListener("change", () => {
        answer.choice = value;
        unsaved = true;
        progress();
      });
      return make("label", {}, input, text);
    }));
    $("comment").value = answer.comment;
    $("step").textContent = `Recording ${now.recording + 1} of ${recordings.length}:`;
    $("step-name").textContent = recordings[now.recording].id;
    $("step-back").disabled = neighbour(-1) < 0;
    $("step-on").disabled = neighbour(1) < 0;
    progress();
    return made;
  }

  function progress() {
    const answered = blind.answers.filter((one) => one.choice).length;
    $("progress").textContent = `${answered} of ${recordings.filter((_, at) => filled(at)).length} answered`;
  }

  const preferred = (session, at) => {
    const { choice } = session.answers[at];
    const place = session.orders[at].findIndex((_, one) => letter(one) === choice);
    return place < 0 ? "" : named(session.orders[at][place]);
  };

  function reveal() {
    pause(current());
    release();
    loaded = -1;
    last = blind;
    blind = null;
    main.replaceChildren(opened);
    $("blind").hidden = false;
    const picks = recordings.map((_, at) => preferred(last, at));
    const answers = last.answers.filter((one) => one.choice).length;
    const rows = [...variants, ""].map((name) => {
      const count = name
        ? picks.filter((one) => one === name).length
        : last.answers.filter((one) => one.choice === NONE).length;
      const share = answers ? `${Math.round((100 * count) / answers)} %` : "";
      return make("tr", {}, Object.assign(make("th", {}, make("bdi", {}, name || "No preference")), { scope: "row" }),
        make("td", { className: "number" }, String(count)), make("td", { className: "number" }, share));
    });
    $("tally").replaceChildren(...rows);
    $("preferences").hidden = false;
    cards = [];
    now.slot = choices()[0][0];
    list();
    show();
    main.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  // Return a CSV cell that a spreadsheet reads as text, not as a formula.
  const cell = (text) => {
    const plain = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };

  function download(session) {
    const widest = Math.max(...session.orders.map((order) => order.length));
    const head = ["recording", "choice", "preferred", "comment", ...Array.from({ length: widest }, (_, place) => letter(place))];
    const rows = recordings.map((one, at) => {
      const { choice, comment } = session.answers[at];
      const shown = Array.from({ length: widest }, (_, place) => named(session.orders[at][place] ?? 0));
      for (let place = session.orders[at].length; place < widest; place += 1) shown[place] = "";
      return [one.id, choice, preferred(session, at), comment, ...shown];
    });
    const text = [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
    const href = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }));
    const link = make("a", { href, download: "preferences.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
    unsaved = false;
  }

  $("blind").addEventListener("click", enter);
  $("download-again").addEventListener("click", () => download(last));
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());

  // ---- begin --------------------------------------------------------------------------------------------------------

  $("blind").hidden = !recordings.some((one) => one.slots.some((slot) => slot > 0));
  if (now.recording >= 0) {
    now.slot = choices()[0][0];
    $("player").hidden = false;
    list();
    show();
  }
})();
