// Opens the page: tables and pictures at once, the chart as soon as Plotly is unpacked.

function summary() {
  const { pictures, codecs, rows } = results;
  const kodak = page.kodak.only
    ? page.kodak.count === 24 ? ", the 24 of Kodak" : ", all among the 24 of Kodak"
    : "";
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  byId("summary").textContent = `${plural(pictures.length, "picture")}${kodak}; ${plural(codecs.length, "codec")}; ` +
    `${plural(rows.length, "file")} measured. Rates count the bytes of whole files.`;
  const why = page.kodak.only && !page.published.length
    ? ` Published curves are means over all 24 pictures of Kodak; here are ${page.kodak.count}, so they are not drawn.`
    : "";
  const grey = page.published.length
    ? " Grey: published means over the same pictures (dashed: classical codecs); their sources stand at the end."
    : "";
  byId("chart-note").textContent =
    "A point of the mean is the mean rate and the mean of the metric over the pictures at one quality." +
    fewerPictures() + why + grey;
}

// Means that leave out pictures, which are hard or easy ones, do not compare with means over all of them.
function fewerPictures() {
  const count = results.pictures.length;
  const fewer = results.codecs.flatMap(({ name }) => {
    const least = Math.min(count, ...(results.curves[name] ?? []).map((point) => point.pictures));
    return least < count ? [`${label(name)} (${least} of ${count})`] : [];
  });
  return fewer.length ? ` Over fewer pictures, so not comparable with the others: ${fewer.join(", ")}.` : "";
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light theme" : "Dark theme";
}

async function start() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  summary();
  chartControls();
  drawLegend();
  bdTable();
  speedTable();
  howMeasured();
  viewerControls();
  byId("theme").addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    drawLegend();
    drawChart();
  });
  drawChart(); // as yet the points alone
  try {
    await loadPlotly();
  } catch {
    say("chart-message", "This browser is too old to unpack the chart; its points are in the table below.");
    return;
  }
  drawChart();
}

start();
