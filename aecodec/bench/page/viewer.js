// Two pictures over each other with a divider, zoom and pan, and their difference.

const stage = byId("stage");
const canvases = { left: byId("left-canvas"), right: byId("right-canvas"), difference: byId("difference-canvas") };
const AMPLIFICATION = 8;
const LARGEST_SCALE = 16; // screen pixels for one of the picture
const ORIGINAL = "original";
const view = { scale: 1, x: 0, y: 0, width: 0, height: 0, divider: 50 };
let loading = 0;

// Choices: picture, rate, and a shot for either side

const shotsOf = (picture) => page.shots.filter((shot) => shot.picture === picture);
const ratesOf = (shots) => [...new Set(shots.flatMap((shot) => shot.rates))].sort((a, b) => a - b);
const shotName = (codec) => (codec === ORIGINAL ? "Original" : label(codec));

function viewerControls() {
  const pictures = [...new Set(page.shots.map((shot) => shot.picture))];
  byId("viewer").hidden = !pictures.length;
  say("viewer-note", viewerNote(pictures.length));
  if (!pictures.length) return;
  fillSelect(byId("shown"), pictures.map((name) => [name, name]));
  for (const id of ["shown", "rate", "left", "right"]) byId(id).addEventListener("change", showPair);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  for (const radio of document.querySelectorAll("input[name=view]")) radio.addEventListener("change", showView);
  byId("divider").addEventListener("input", () => moveDivider(Number(byId("divider").value)));
  new ResizeObserver(resized).observe(stage);
  stageControls();
  showPair();
}

function viewerNote(count) {
  if (!count) return "No pictures are in this page.";
  const sentences = ["Rates and PSNR are those measured on the whole file."];
  if (count < results.pictures.length)
    sentences.push(`To keep the page small, ${count} of ${results.pictures.length} pictures are shown.`);
  if (page.shots.some((shot) => shot.cropped)) sentences.push("Of large pictures the middle is shown.");
  const again = [...new Set(page.shots.filter((shot) => !shot.native).map((shot) => shotName(shot.codec)))];
  if (again.length)
    sentences.push("Shown from the codec's own file where browsers decode it; encoded once more for this page, as " +
      `${page.reencoded}, a loss hardly seen but part of the difference map: ${again.join(", ")}.`);
  return sentences.join(" ");
}

function step(by) {
  const select = byId("shown"), count = select.options.length;
  select.selectedIndex = (select.selectedIndex + by + count) % count;
  showPair();
}

function showPair() {
  const shots = shotsOf(byId("shown").value), rates = ratesOf(shots);
  const codecs = [...new Set(shots.map((shot) => shot.codec))];
  const measured = codecs.filter((codec) => codec !== ORIGINAL);
  fillSelect(byId("rate"), rates.map((rate) => [String(rate), `about ${rate} bpp`]), byId("rate").value || "0.5");
  const options = codecs.map((codec) => [codec, shotName(codec)]);
  const anchor = measured.includes(results.anchor) && measured.length > 1 ? results.anchor : ORIGINAL;
  fillSelect(byId("left"), options, byId("left").value || anchor);
  fillSelect(byId("right"), options, byId("right").value || measured.find((codec) => codec !== byId("left").value));
  const rate = Number(byId("rate").value);
  const chosen = (side) => shots.find((shot) =>
    shot.codec === byId(side).value && (shot.codec === ORIGINAL || shot.rates.includes(rate)));
  draw(chosen("left"), chosen("right"));
}

async function draw(left, right) {
  const turn = ++loading;
  const bitmaps = await Promise.all([left, right].map(bitmap)).catch(() => null);
  if (turn !== loading) return; // another pair was chosen meanwhile
  say("viewer-message", bitmaps ? "" : "This browser cannot decode one of the two pictures.");
  stage.hidden = !bitmaps;
  caption("left", left);
  caption("right", right);
  if (!bitmaps) return;
  put(canvases.left, bitmaps[0]);
  put(canvases.right, bitmaps[1]);
  drawDifference();
  const { width, height } = bitmaps[0];
  if (view.width !== width || view.height !== height) {
    Object.assign(view, { width, height });
    stage.style.aspectRatio = `${width} / ${height}`;
    fit();
  }
  showView();
}

const bitmap = (shot) => createImageBitmap(new Blob([bytesOf(shot.id)], { type: shot.mime }));

function put(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (image instanceof ImageData) context.putImageData(image, 0, 0);
  else context.drawImage(image, 0, 0);
}

function caption(side, shot) {
  const facts = shot.codec === ORIGINAL
    ? "what was encoded"
    : `quality ${shot.quality} · ${fixed(shot.bpp, 3)} bpp` + (shot.psnr == null ? "" : ` · ${fixed(shot.psnr, 2)} dB`);
  byId(`${side}-caption`).replaceChildren(element("b", {}, shotName(shot.codec)), facts);
}

function drawDifference() {
  const [a, b] = [canvases.left, canvases.right].map((canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height));
  let largest = 0, sum = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 === 3) continue; // alpha stays opaque
    const difference = Math.abs(a.data[i] - b.data[i]);
    largest = Math.max(largest, difference);
    sum += difference;
    a.data[i] = difference * AMPLIFICATION; // clamped to 255 by its type
  }
  put(canvases.difference, a);
  byId("difference-note").textContent = `difference of the two: mean ${(sum / a.data.length / 0.75).toFixed(2)}, ` +
    `largest ${largest} of 255 levels; drawn ${AMPLIFICATION} times as strong, black where equal`;
}

function showView() {
  const difference = document.querySelector("input[name=view]:checked").value === "difference";
  canvases.difference.hidden = !difference;
  for (const id of ["divider", "divider-line"]) byId(id).hidden = difference;
  byId("difference-note").hidden = !difference;
  moveDivider(view.divider);
}

function moveDivider(percent) {
  view.divider = Math.min(100, Math.max(0, percent));
  const slider = byId("divider");
  slider.value = view.divider;
  const [left, right] = ["left", "right"].map((side) => shotName(byId(side).value));
  const share = Math.round(view.divider);
  slider.setAttribute("aria-valuetext", `${share} % ${left}, ${100 - share} % ${right}`);
  byId("right-layer").style.clipPath = `inset(0 0 0 ${view.divider}%)`;
  byId("divider-line").style.left = `${view.divider}%`;
}

// Zoom and pan

const fitScale = () => Math.min(stage.clientWidth / view.width, stage.clientHeight / view.height);

function fit() {
  view.scale = 0; // place makes it what fits
  place();
}

function resized() {
  if (!view.width) return; // nothing is shown yet
  if (stage.classList.contains("zoomed")) place();
  else fit();
}

function zoomAt(factor, x, y) {
  const scale = Math.min(Math.max(view.scale * factor, fitScale()), Math.max(LARGEST_SCALE, fitScale()));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  place();
}

const zoomMiddle = (factor) => zoomAt(factor, stage.clientWidth / 2, stage.clientHeight / 2);

function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  place();
}

// Puts the canvases where the view says, after keeping it inside: no empty space beside a picture that fills it.
function place() {
  view.scale = Math.max(view.scale, fitScale());
  for (const [axis, side, room] of [["x", "width", stage.clientWidth], ["y", "height", stage.clientHeight]]) {
    const spare = room - view[side] * view.scale;
    view[axis] = spare >= 0 ? spare / 2 : Math.min(0, Math.max(spare, view[axis]));
  }
  const transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  for (const canvas of Object.values(canvases)) canvas.style.transform = transform;
  stage.classList.toggle("zoomed", isZoomed());
  stage.classList.toggle("pixels", view.scale * devicePixelRatio >= 2);
  byId("zoom").textContent = `zoom ${Math.round(100 * view.scale)} %`;
}

const isZoomed = () => view.scale > fitScale() * 1.001;

const KEYS = {
  "+": () => zoomMiddle(1.25),
  "=": () => zoomMiddle(1.25),
  "-": () => zoomMiddle(0.8),
  "0": fit,
  ArrowLeft: () => pan(60, 0),
  ArrowRight: () => pan(-60, 0),
  ArrowUp: () => pan(0, 60),
  ArrowDown: () => pan(0, -60),
};

function stageControls() {
  stage.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  byId("zoom-in").addEventListener("click", () => zoomMiddle(1.25));
  byId("zoom-out").addEventListener("click", () => zoomMiddle(0.8));
  byId("zoom-fit").addEventListener("click", fit);
  stage.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && !isZoomed()) return; // nothing left to zoom out of: the page scrolls
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoomAt(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  pointerControls();
}

function pointerControls() {
  const pointers = new Map();
  let dividing = false;
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const divide = (point) => moveDivider((100 * point.x) / stage.clientWidth);

  stage.addEventListener("pointerdown", (event) => {
    const point = at(event), reach = event.pointerType === "touch" ? 28 : 18;
    const line = (view.divider / 100) * stage.clientWidth;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, point);
    const both = canvases.difference.hidden;
    dividing = both && pointers.size === 1 && (!isZoomed() || Math.abs(point.x - line) < reach);
    if (dividing) divide(point);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = pointers.get(event.pointerId), now = at(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (dividing) divide(now);
    else if (other) pinch(before, now, other);
    else pan(now.x - before.x, now.y - before.y);
  });
  for (const end of ["pointerup", "pointercancel"])
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      dividing = false;
    });
}

// One finger moved, the other rests: zoom about the middle between them and follow it.
function pinch(before, now, other) {
  const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
  view.x += (now.x - before.x) / 2;
  view.y += (now.y - before.y) / 2;
  zoomAt(distance(now, other) / distance(before, other), (now.x + other.x) / 2, (now.y + other.y) / 2);
}
