// Spectrograms: axes, zoom, the difference to the reference, and the pitch over them.

const MOST_ZOOM = 16;
const view = { at: -1, zoom: 1, left: 0 }; // at: the recording that is zoomed; left: its first visible second

const zoomOf = (at) => (at === view.at ? view.zoom : 1);
const spanOf = (at) => recordings[at].seconds / zoomOf(at);
const leftOf = (at) => (at === view.at ? view.left : 0);

// Return where a time of the current recording lies in its pictures, in percent of their width.
function inPicture(seconds) {
  const at = recordingAt(now.at);
  return Math.min(100, (100 * (seconds - leftOf(at))) / spanOf(at));
}

// Return the time at a place in the pictures of the current recording. share: 0 is the left edge, 1 the right edge.
function secondsAt(share) {
  return leftOf(now.at) + spanOf(now.at) * Math.max(0, Math.min(1, share));
}

// Return round numbers from `low` to `high`, about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k += 1) found.push([k * step, Math.max(0, -Math.floor(Math.log10(step) + 1e-9))]);
  return found;
}

function drawAxis(axis, low, high, count, side, unit) {
  axis.replaceChildren(...ticks(low, high, count).map(([value, decimals], k, all) => {
    const text = value.toFixed(decimals) + (k === all.length - 1 ? ` ${unit}` : "");
    const mark = make("span", {}, text);
    mark.style.setProperty(side, `${(100 * (value - low)) / (high - low)}%`);
    return mark;
  }));
}

// Draw the axes of a recording, and show the part of its pictures that the zoom asks for.
function drawPictures(at) {
  const article = $(`recording-${at}`);
  const { seconds, top, pitchTop } = recordings[at];
  for (const box of article?.querySelectorAll(".plot") ?? []) {
    const film = box.querySelector(".film");
    film.style.width = `${100 * zoomOf(at)}%`;
    film.style.marginLeft = `${(-100 * leftOf(at)) / spanOf(at)}%`;
    drawAxis(box.querySelector(".times"), leftOf(at), leftOf(at) + spanOf(at), 4, "left", "s");
    drawAxis(box.querySelector(".frequencies"), 0, top / 1000, 4, "bottom", "kHz");
    drawAxis(box.querySelector(".pitches"), 0, pitchTop, 4, "bottom", "Hz");
  }
  if (seconds) article?.toggleAttribute("data-drawn", true);
}

// Axes are drawn when a recording comes into view: a page may have thousands of pictures.
const watcher = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (isIntersecting && !target.hasAttribute("data-drawn")) drawPictures(Number(target.dataset.at));
  }
}, { rootMargin: "200px" });
for (const article of document.querySelectorAll("article.recording")) watcher.observe(article);

// Multiply the zoom of the current recording, and keep the playing position where it is in the picture.
function zoomBy(factor) {
  if (blind || now.at < 0) return;
  const before = view.at;
  const share = inPicture(position()) / 100;
  const zoom = Math.max(1, Math.min(MOST_ZOOM, zoomOf(now.at) * factor));
  Object.assign(view, { at: now.at, zoom });
  scroll(position() - share * spanOf(now.at));
  if (before >= 0 && before !== now.at) drawPictures(before);
  showTime();
  say(`Zoom ${zoom}`);
}

function scroll(left) {
  view.left = Math.max(0, Math.min(recordings[view.at].seconds - spanOf(view.at), left));
  drawPictures(view.at);
}

// While a zoomed recording plays, move its pictures with the playing position.
function follow(at) {
  if (blind || now.at !== view.at || view.zoom === 1) return;
  if (at < view.left || at > view.left + spanOf(view.at)) scroll(at - 0.1 * spanOf(view.at));
}

$("zoom-in")?.addEventListener("click", (event) => { calm(event); zoomBy(2); });
$("zoom-out")?.addEventListener("click", (event) => { calm(event); zoomBy(0.5); });
$("difference")?.addEventListener("change", () => $("listen").toggleAttribute("data-difference", $("difference").checked));
$("pitch")?.addEventListener("change", () => $("listen").toggleAttribute("data-pitch", $("pitch").checked));
