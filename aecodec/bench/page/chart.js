// The rate-distortion chart. Plotly lies gzipped in the page; the page can be used while it is unpacked.

const chart = byId("chart");
const hiddenCodecs = new Set();
const isTouch = matchMedia("(pointer: coarse)").matches; // there a finger on the chart scrolls the page
const shown = (value, metric) => (metric.decibel && value != null ? -10 * Math.log10(1 - value) : value);
// Plotly reads a few HTML tags in its texts.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

async function loadPlotly() {
  const packed = new Blob([bytesOf("plotly")]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(packed).text();
  document.head.append(script);
}

// Points of a codec in order of quality: {quality, bpp, pictures, value} where the metric was measured.
function pointsOf(codec, metric, picture) {
  const rows = picture === ""
    ? results.curves[codec] ?? []
    : results.rows.filter((row) => row.codec === codec && row.picture === results.pictures[picture].name);
  // Of one picture the pooled PSNR is its PSNR.
  const value = (row) => row[metric.key] ?? (metric.key === "psnr_pooled" ? row.psnr : null);
  return rows
    .map((row) => ({ quality: row.quality, bpp: row.bpp, pictures: row.pictures ?? 1, value: value(row) }))
    .filter((point) => point.value != null && Number.isFinite(shown(point.value, metric)))
    .sort((a, b) => a.quality - b.quality);
}

function trace(codec, points, metric) {
  const look = page.looks[codec];
  const color = isDark() ? look.dark : look.light;
  const unit = metric.decibel || !metric.unit ? "" : ` ${metric.unit}`;
  return {
    type: "scatter",
    mode: "lines+markers",
    name: plain(label(codec)),
    x: points.map((point) => point.bpp),
    y: points.map((point) => shown(point.value, metric)),
    text: points.map((point) =>
      `quality ${point.quality}<br>${fixed(point.bpp, 3)} bpp<br>` +
      plain(`${metric.label} ${fixed(point.value, metric.digits)}${unit}`)),
    hovertemplate: "<b>%{fullData.name}</b><br>%{text}<extra></extra>",
    line: { color, width: 2 },
    marker: { color, symbol: look.symbol, size: 8 },
  };
}

function publishedTrace(curve, metric) {
  const values = curve[metric.key];
  return {
    type: "scatter",
    mode: "lines+markers",
    name: plain(curve.name),
    x: curve.bpp,
    y: values.map((value) => shown(value, metric)),
    text: values.map((value, i) =>
      `published, ${curve.kind}<br>${fixed(curve.bpp[i], 3)} bpp<br>` +
      plain(`${metric.label} ${fixed(value, metric.digits)}`)),
    hovertemplate: "<b>%{fullData.name}</b><br>%{text}<extra></extra>",
    line: { color: isDark() ? "#6d757d" : "#a9b0b7", width: 1, dash: curve.kind === "classical" ? "dash" : "solid" },
    marker: { color: isDark() ? "#6d757d" : "#a9b0b7", size: 3 },
  };
}

// What was measured decides what is seen at first, not how far the published curves reach.
function range(values, log) {
  const scaled = log ? values.map(Math.log10) : values;
  const low = Math.min(...scaled), high = Math.max(...scaled);
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - margin, high + margin];
}

function layout(traces, metric, log, view) {
  const style = getComputedStyle(chart);
  const axis = { gridcolor: style.borderTopColor, linecolor: style.borderTopColor, zeroline: false, automargin: true };
  const x = traces.flatMap((t) => t.x), y = traces.flatMap((t) => t.y);
  const rate = log
    ? { type: "log", range: range(x, true), tickvals: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20] }
    : { type: "linear", range: [0, Math.max(...x) * 1.05] };
  return {
    xaxis: { ...axis, ...rate, title: { text: "bits per pixel (whole file)" } },
    yaxis: { ...axis, range: range(y, false), title: { text: metric.axis } },
    font: { color: style.color, family: style.fontFamily, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: "closest",
    hoverlabel: { align: "left" },
    showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: style.borderTopColor, activecolor: style.color },
    margin: { l: 50, r: 12, t: isTouch ? 12 : 34, b: 48 },
    dragmode: isTouch ? false : "zoom",
    uirevision: view, // what the reader zoomed to stays until the view itself is another
  };
}

function drawChart() {
  const metric = metrics.get(byId("metric").value), picture = byId("picture").value;
  const log = document.querySelector("input[name=axis]:checked").value === "log";
  const curves = results.codecs.map((codec) => [codec.name, metric ? pointsOf(codec.name, metric, picture) : []]);
  const drawn = curves.filter(([codec, points]) => points.length && !hiddenCodecs.has(codec));
  const traces = drawn.map(([codec, points]) => trace(codec, points, metric));
  const comparable = picture === "" && metric ? page.published.filter((curve) => metric.key in curve) : [];
  byId("published").disabled = !comparable.length;
  const published = byId("published").checked ? comparable.map((curve) => publishedTrace(curve, metric)) : [];
  say("chart-message", traces.length ? "" : emptyReason(curves));
  chart.hidden = !traces.length;
  listPoints(drawn, metric);
  if (!traces.length || !window.Plotly) return;
  const view = [metric.key, picture, log].join();
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: isTouch ? false : "hover",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  Plotly.react(chart, [...published, ...traces], layout(traces, metric, log, view), config);
}

function emptyReason(curves) {
  if (!results.rows.length) return "Nothing was measured; the failures are listed below.";
  return curves.some(([, points]) => points.length)
    ? "Every codec is switched off."
    : "This metric was not measured here.";
}

function listPoints(drawn, metric) {
  const rows = drawn.flatMap(([codec, points]) => points.map((point) => ({ codec, ...point })));
  sortableTable(byId("points"), "Points of the chart", [
    { title: "Codec", value: (row) => label(row.codec), wide: true },
    { title: "Quality", value: (row) => row.quality, digits: 0 },
    { title: "Pictures", value: (row) => row.pictures, digits: 0 },
    { title: "Bits per pixel", value: (row) => row.bpp, digits: 3 },
    { title: metric?.label ?? "Metric", value: (row) => row.value, digits: metric?.digits },
  ], rows);
}

function chartControls() {
  const measured = page.metrics.filter(({ key }) =>
    Object.values(results.curves).some((curve) => curve.some((point) => point[key] != null)));
  fillSelect(byId("metric"), measured.map(({ key, label }) => [key, label]));
  const count = results.pictures.length;
  const pictures = results.pictures.map(({ name }, i) => [String(i), name]);
  fillSelect(byId("picture"), [["", count === 1 ? "mean (one picture)" : `mean of ${count} pictures`], ...pictures]);
  byId("published-choice").hidden = !page.published.length;
  for (const control of document.querySelectorAll("#metric, #picture, #published, input[name=axis]"))
    control.addEventListener("change", drawChart);
}

function drawLegend() {
  byId("legend").replaceChildren(...results.codecs.map(({ name }) => {
    const look = page.looks[name];
    const box = element("input", { type: "checkbox" });
    box.checked = !hiddenCodecs.has(name);
    box.addEventListener("change", () => {
      hiddenCodecs[box.checked ? "delete" : "add"](name);
      drawChart();
    });
    const mark = element("span", { "aria-hidden": "true" }, look.glyph);
    mark.style.color = isDark() ? look.dark : look.light;
    return element("label", {}, box, mark, label(name));
  }));
}
