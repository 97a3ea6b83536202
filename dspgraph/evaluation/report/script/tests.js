// Blind tests: MUSHRA, ABX and preference. The answers are kept by the browser until they are discarded.

const KEPT = `dspgraph-test-${pageId}`;
const TESTS = {
  mushra: {
    title: "MUSHRA",
    note: "Give each sound a score from 0 to 100 for its quality, compared with the open reference. The reference is also among the sounds, and should get 100.",
    keys: "0 to 9 choose a sound and its slider; the arrow keys and Page Up, Page Down move it; space plays; j and k change the trial.",
  },
  abx: {
    title: "ABX",
    note: "X is either A or B. Which one is it?",
    keys: "1, 2 and 3 choose A, B and X; space plays; a and b answer; j and k change the trial.",
    answers: [["A", "X is A"], ["B", "X is B"]],
  },
  preference: {
    title: "Preference",
    note: "Which do you prefer?",
    keys: "1 and 2 choose A and B; 0 the reference; space plays; a, b and n answer; j and k change the trial.",
    answers: [["A", "A"], ["B", "B"], ["none", "No preference"]],
  },
};
const MOST_MUSHRA = 11; // sounds beside the hidden reference: BS.1534-3 advises at most 12 in a trial
const SCALE = ["Bad", "Poor", "Fair", "Good", "Excellent"]; // each is a fifth of the scale, from 0 up

let finished = null; // the last finished test
let lost = false; // answers that the browser does not keep, and that were not downloaded
let opened = null; // the content of the page outside a test

const letter = (place) => {
  const more = Math.floor(place / 26);
  return (more ? letter(more - 1) : "") + String.fromCharCode(65 + (place % 26));
};
// Return the name of a place in a trial: place 0 is the open reference; the last of three in ABX is X.
function placeName(place) {
  if (place === 0) return "Reference";
  return blind.test === "abx" && place === 3 ? "X" : letter(place - 1);
}

const draw = (count) => crypto.getRandomValues(new Uint32Array(1))[0] % count;
function shuffled(list) {
  const order = [...list];
  for (let k = order.length - 1; k > 0; k -= 1) {
    const other = draw(k + 1);
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

// ---- trials ---------------------------------------------------------------------------------------------------------

// Return the trials of a test: { recording, sounds, scores or answer, comment }. slots: the chosen sounds.
function trialsOf(test, slots, repetitions) {
  const trials = [];
  recordings.forEach((one, recording) => {
    const there = slots.filter((slot) => one.slots.includes(slot));
    if (test === "mushra") {
      const tested = [0, ...there.filter((slot) => slot > 0), ...(one.anchor ? [ANCHOR] : [])];
      if (!one.slots.includes(0) || !there.some((slot) => slot > 0)) return;
      trials.push({ recording, sounds: [0, ...shuffled(tested)], scores: tested.map(() => null), comment: "" });
      return;
    }
    const open = test === "preference" && one.slots.includes(0) ? 0 : -1;
    there.forEach((a, k) => there.slice(k + 1).forEach((b) => {
      for (let time = 0; time < repetitions; time += 1) {
        const pair = shuffled([a, b]);
        const sounds = [open, ...pair, ...(test === "abx" ? [pair[draw(2)]] : [])];
        trials.push({ recording, sounds, answer: "", comment: "" });
      }
    }));
  });
  return shuffled(trials);
}

const answered = (trial) => (trial.scores ? trial.scores.every((score) => score !== null) : trial.answer !== "");

// ---- the form before a test -----------------------------------------------------------------------------------------

function setUp() {
  if (finished && !finished.downloaded && !confirm("The answers of the last test have not been downloaded. Start a new test?")) return;
  openView("test-form");
  const form = $("form");
  const boxes = ["Reference", ...variants].map((name, slot) => {
    const box = make("input", { type: "checkbox", name: "sound", value: String(slot) });
    return make("label", {}, box, make("bdi", {}, name));
  });
  $("test-sounds").replaceChildren(...boxes);
  const inputs = boxes.map((one) => one.querySelector("input"));
  const settings = () => {
    const data = new FormData(form);
    return { test: data.get("test"), listener: data.get("listener").trim(), slots: inputs.filter((one) => one.checked).map((one) => Number(one.value)), repetitions: Math.max(1, Math.min(100, Number(data.get("repetitions")) || 1)) };
  };
  const count = () => {
    const { test, slots, repetitions } = settings();
    const found = trialsOf(test, slots, repetitions);
    $("trial-count").textContent = found.length ? `${found.length} trial${found.length === 1 ? "" : "s"}` : "No trials: choose two sounds, or for MUSHRA a variant.";
    $("begin").disabled = !found.length;
  };
  const pick = () => {
    const mushra = form.elements.test.value === "mushra";
    const tested = form.elements.test.value === "preference" ? variants.length : Math.min(variants.length, MOST_MUSHRA);
    inputs.forEach((one, slot) => { one.checked = slot ? slot <= (form.elements.test.value === "abx" ? 1 : tested) : form.elements.test.value !== "preference"; });
    inputs[0].disabled = mushra;
    $("repetitions").closest("label").hidden = mushra;
    $("test-note").textContent = TESTS[form.elements.test.value].note;
    count();
  };
  for (const one of form.elements.test) one.addEventListener("change", pick);
  form.addEventListener("input", count);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { test, listener, slots, repetitions } = settings();
    begin({ test, listener, trials: trialsOf(test, slots, repetitions), matched: $("form-match").checked });
  });
  $("cancel").addEventListener("click", () => { closeView(); main.focus({ preventScroll: true }); });
  pick();
  $("player").hidden = true;
  form.elements.listener.focus();
  scrollTo({ top: 0 });
}

// Put a view in the place of the content of the page. name: the id of its template.
function openView(name) {
  pause(current());
  release();
  if (opened) main.replaceChildren();
  else {
    opened = document.createDocumentFragment();
    opened.append(...main.childNodes);
  }
  main.append($(name).content.cloneNode(true));
  $("blind").hidden = true;
}

function closeView() {
  pause(current());
  release();
  blind = null;
  main.replaceChildren(opened);
  opened = null;
  $("blind").hidden = false;
  $("match").checked = false;
  $("match").disabled = false;
  cards = [];
  now.at = recordings.findIndex((one) => one.slots.length);
  now.choice = choices()[0][0];
  $("player").hidden = false;
  setPart(null);
  list();
  show();
}

// ---- a test that runs -----------------------------------------------------------------------------------------------

function begin({ test, listener, trials, matched }) {
  const session = [...crypto.getRandomValues(new Uint8Array(6))].map((one) => one.toString(16).padStart(2, "0")).join("");
  resume({ session, test, listener, trials, matched, at: 0, downloaded: false, done: false });
}

function resume(test) {
  openView("test-view");
  blind = test;
  finished = null;
  now.at = blind.at;
  now.choice = choices()[0][0] || 1;
  const { title, note, keys } = TESTS[blind.test];
  $("test-title").textContent = `${title}${blind.listener ? `, listener ${blind.listener}` : ""}`;
  $("test-note").textContent = `${note} Names are hidden, and the order is random. Switching keeps the playing position.`;
  $("test-keys").textContent = `Keys: ${keys}`;
  $("matched").textContent = blind.matched
    ? "The loudness is matched: each sound is played at the loudness (ITU-R BS.1770) of the softest sound of its recording, but lowered by 20 dB at most."
    : "The loudness is not matched: a louder sound may be preferred because it is louder.";
  $("match").checked = blind.matched;
  $("match").disabled = true;
  $("step-back").addEventListener("click", () => move(-1));
  $("step-on").addEventListener("click", () => move(1));
  $("download").addEventListener("click", () => download(blind));
  $("reveal").addEventListener("click", reveal);
  $("comment").addEventListener("input", () => answer((one) => { one.comment = $("comment").value; }));
  $("player").hidden = false;
  setPart(null);
  keep();
  list();
  show();
  main.focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

const trial = () => blind.trials[now.at];

// Let the browser keep the test with its answers.
function keep() {
  const test = blind ?? finished;
  if (blind) test.at = now.at;
  lost = !storage.write(KEPT, JSON.stringify(test));
}

function answer(change) {
  change(trial());
  blind.downloaded = false;
  keep();
  progress();
}

// Make the cards and the questions of the current trial. Nothing in them reveals a name.
function trialCards() {
  const made = choices().map(([place, text]) => {
    const verb = make("span", { className: "unseen verb" }, "Play");
    const button = make("button", { type: "button", className: "play" },
      make("span", { className: "disc" }, ...$("toggle").cloneNode(true).childNodes), verb, " ", make("span", { className: "label" }, text));
    if (place < 10) button.append(make("kbd", { ariaHidden: "true" }, String(place)));
    button.addEventListener("click", (event) => { calm(event); press(now.at, place); });
    const box = make("li", { className: "card" }, button);
    if (trial().scores && place) box.append(slider(place, text));
    return { choice: place, box, verb };
  });
  $("letters").replaceChildren(...made.map((one) => one.box));
  $("letters").classList.toggle("rated", Boolean(trial().scores));
  const { answers = [] } = TESTS[blind.test];
  $("question").hidden = !answers.length;
  $("question-text").textContent = TESTS[blind.test].note;
  $("answers").replaceChildren(...answers.map(([value, text]) => {
    const input = make("input", { type: "radio", name: "answer", value, checked: trial().answer === value });
    input.addEventListener("change", () => answer((one) => { one.answer = value; }));
    return make("label", {}, input, text);
  }));
  $("comment").value = trial().comment;
  $("step").textContent = `Trial ${now.at + 1} of ${blind.trials.length}:`;
  $("step-name").textContent = recording().id;
  $("step-back").disabled = neighbour(-1) < 0;
  $("step-on").disabled = neighbour(1) < 0;
  progress();
  return made;
}

// Return the slider for the score of a sound. It has no score until it is moved.
function slider(place, text) {
  const score = trial().scores[place - 1];
  const input = make("input", { type: "range", min: 0, max: 100, step: 1, value: score ?? 50, ariaLabel: `Score of ${text}` });
  const value = make("output", {}, score === null ? "no score" : String(score));
  input.dataset.place = place;
  input.toggleAttribute("data-scored", score !== null);
  const describe = () => {
    const word = SCALE[Math.min(4, Math.floor(input.value / 20))];
    input.setAttribute("aria-valuetext", input.hasAttribute("data-scored") ? `${input.value}, ${word}` : "no score");
  };
  const set = () => {
    answer((one) => { one.scores[place - 1] = Number(input.value); });
    value.textContent = input.value;
    input.toggleAttribute("data-scored", true);
    describe();
  };
  describe();
  input.addEventListener("input", set);
  input.addEventListener("click", set); // also if it stays at 50
  input.addEventListener("focus", () => now.choice !== place && choose(place, playing()));
  const scale = make("span", { className: "scale", ariaHidden: "true" }, ...SCALE.map((word) => make("span", {}, word)));
  return make("div", { className: "slider" }, make("div", {}, input, scale), value);
}

const focusSlider = (place) => $("letters").querySelector(`input[data-place="${place}"]`)?.focus();

// Answer a question by the letter of the answer. Return whether there is such an answer.
function answerBy(key) {
  const { answers = [] } = TESTS[blind.test];
  const place = answers.findIndex(([value]) => value[0].toLowerCase() === key.toLowerCase());
  if (place < 0) return false;
  $("answers").querySelectorAll("input")[place].click();
  say(answers[place][1]);
  return true;
}

function progress() {
  $("progress").textContent = `${blind.trials.filter(answered).length} of ${blind.trials.length} answered`;
}

// ---- after a test ---------------------------------------------------------------------------------------------------

function reveal() {
  const open = blind.trials.filter((one) => !answered(one)).length;
  if (open && !confirm(`${open} of ${blind.trials.length} trials are not answered. Finish, and see the names?`)) return;
  finished = blind;
  finished.done = true;
  closeView();
  keep();
  showAnswers();
  main.focus({ preventScroll: true });
  scrollTo({ top: 0 });
}

// Show the answers of the finished test.
function showAnswers() {
  const rows = finished.test === "mushra" ? meanScores() : finished.test === "abx" ? countRight() : countPreferred();
  const [head, ...body] = rows;
  $("answers-title").textContent = `Answers: ${TESTS[finished.test].title}`;
  $("tally-head").replaceChildren(...head.map((text, k) => Object.assign(make("th", { className: k ? "number" : "" }, text), { scope: "col" })));
  $("tally").replaceChildren(...body.map((row) => make("tr", {}, ...row.map((text, k) => make(k ? "td" : "th", { className: k ? "number" : "" }, make("bdi", {}, text))))));
  $("finished").hidden = false;
}

function grouped(pairs) {
  const found = new Map();
  for (const [key, value] of pairs) found.set(key, [...(found.get(key) ?? []), value]);
  return [...found];
}

function meanScores() {
  const scores = finished.trials.flatMap(({ sounds, scores: given }) => given.map((score, k) => [named(sounds[k + 1]), score])).filter(([, score]) => score !== null);
  const means = grouped(scores).map(([name, each]) => [name, each.reduce((a, b) => a + b, 0) / each.length, each.length]);
  return [["Sound", "Mean score", "Scores"], ...means.sort((a, b) => b[1] - a[1]).map(([name, mean, count]) => [name, mean.toFixed(1), String(count)])];
}

const pairName = ({ sounds }) => sounds.slice(1, 3).sort((a, b) => a - b).map(named).join(" / ");
const chosen = ({ sounds, answer: given }) => ({ A: sounds[1], B: sounds[2] })[given];

function countRight() {
  const given = finished.trials.filter(answered).map((one) => [pairName(one), chosen(one) === one.sounds[3]]);
  return [["Sounds", "Right", "Answers"], ...grouped(given).map(([name, each]) => [name, String(each.filter(Boolean).length), String(each.length)])];
}

function countPreferred() {
  const given = finished.trials.filter(answered).flatMap((one) => {
    const pick = chosen(one);
    return one.sounds.slice(1, 3).map((slot) => [named(slot), pick === undefined ? "none" : pick === slot]);
  });
  const count = (each, value) => String(each.filter((one) => one === value).length);
  return [["Sound", "Preferred", "Not preferred", "No preference"], ...grouped(given).map(([name, each]) => [name, count(each, true), count(each, false), count(each, "none")])];
}

// ---- the file of answers --------------------------------------------------------------------------------------------

// Return a CSV cell that a spreadsheet reads as text, not as a formula: as the function `as_text` in tables.py.
const cell = (text) => {
  const plain = /^[\t\r\n']|^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
};
const COLUMNS = ["page", "session", "saved", "test", "listener", "loudness", "trial", "recording", "a", "b", "x", "answer", "score", "comment"];
const NAMES = { 0: "reference", [ANCHOR]: "anchor" };
const written = (slot) => NAMES[slot] ?? variants[slot - 1];

// Return the rows of a trial: one for each sound of MUSHRA, one for a pair. Answers that were not given are empty.
function rowsOf(one) {
  if (one.scores) return one.scores.map((score, k) => ({ a: written(one.sounds[k + 1]), score: score === null ? "" : String(score) }));
  const [, a, b, x] = one.sounds;
  const pick = chosen(one);
  return [{ a: written(a), b: written(b), x: x === undefined ? "" : written(x), answer: one.answer === "none" ? "none" : pick === undefined ? "" : one.answer.toLowerCase() }];
}

function download(test) {
  const common = { page: pageId, session: test.session, saved: new Date().toISOString(), test: test.test, listener: test.listener, loudness: test.matched ? "matched" : "" };
  const rows = test.trials.flatMap((one, at) => rowsOf(one).map((row) => ({ ...common, trial: String(at + 1), recording: recordings[one.recording].id, comment: one.comment, ...row })));
  const text = [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name] ?? ""))].map((row) => row.map(cell).join(",")).join("\r\n");
  const href = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv;charset=utf-8" }));
  const who = test.listener.replace(/[^\w-]+/g, "_") || test.session;
  make("a", { href, download: `${test.test}_${who}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
  test.downloaded = true;
  keep();
  lost = false;
}

$("blind").addEventListener("click", setUp);
$("download-again").addEventListener("click", () => download(finished));
addEventListener("beforeunload", (event) => lost && event.preventDefault());

// Return whether a trial is one of this page. test: the kind of test.
function fits({ recording: at, sounds: each, scores, answer: given, comment }, test) {
  const there = (slot) => (slot === ANCHOR ? recordings[at].anchor : recordings[at].slots.includes(slot));
  const answers = ["", ...(TESTS[test].answers ?? []).map(([value]) => value)];
  const right = test === "mushra"
    ? scores.length > 0 && scores.every((score) => score === null || (score >= 0 && score <= 100))
    : scores === undefined && answers.includes(given);
  const count = test === "mushra" ? scores.length + 1 : test === "abx" ? 4 : 3;
  const open = there(each[0]) || (test !== "mushra" && each[0] === -1); // -1: there is no open reference
  return right && open && each.length === count && each.slice(1).every(there) && typeof comment === "string";
}

// Return the test that the browser has kept for this page, or null. Everything in it is checked before it is used.
function kept() {
  try {
    const test = JSON.parse(storage.read(KEPT));
    const good = Object.hasOwn(TESTS, test.test) && typeof test.listener === "string" && Array.isArray(test.trials) && Number.isInteger(test.at) && test.trials[test.at];
    return good && test.trials.every((one) => fits(one, test.test)) ? test : null;
  } catch {
    return null;
  }
}
