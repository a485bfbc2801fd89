// Tables that sort by a click or a key on their headings, and the facts of the run.

// columns: {title, value(row) that sorts, digits of a number, text(row) where the cell shows another, wide or long}
function sortableTable(place, caption, columns, rows) {
  const body = element("tbody");
  const numeric = columns.map((column) => rows.some((row) => typeof column.value(row) === "number"));
  const heads = columns.map((column, i) => {
    const button = element("button", { type: "button" }, column.title.replace(/, (?=\S+$)/, ",\u00a0"));
    const head = element("th", { scope: "col", "aria-sort": "none", ...(numeric[i] && { class: "number" }) }, button);
    button.addEventListener("click", () => sortBy(column, head));
    return head;
  });

  function sortBy(column, head) {
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    fill(rows.toSorted((a, b) => compare(column.value(a), column.value(b), order === "ascending" ? 1 : -1)));
  }

  function fill(sorted) {
    body.replaceChildren(...sorted.map((row) => element("tr", {}, ...columns.map((column, i) => {
      const text = column.text ? column.text(row) : cellText(column.value(row), column.digits);
      const style = [numeric[i] && "number", column.long && "long", column.wide && "wide"].filter(Boolean).join(" ");
      return element("td", style ? { class: style } : {}, text);
    }))));
  }

  fill(rows);
  const head = element("thead", {}, element("tr", {}, ...heads));
  const table = element("table", {}, element("caption", { class: "hidden" }, caption), head, body);
  place.replaceChildren(element("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": caption }, table));
}

const cellText = (value, digits) => (typeof value === "number" ? fixed(value, digits) : value ?? NONE);

// What is missing comes last, whatever the order.
function compare(a, b, sign) {
  if (a == null || b == null) return (a == null) - (b == null);
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
}

function bdTable() {
  const metric = (row) => metrics.get(row.metric) ?? { label: row.metric, digits: 4, unit: "" };
  const digits = (row) => metric(row).digits;
  say("bd-note", results.bd.length
    ? `Against ${label(results.anchor)}: the mean difference in rate at equal quality (negative: fewer bits), and in ` +
      "the metric at equal rate, over the pictures that both codecs have at all their qualities and the range that both " +
      "curves cover. PCHIP on the logarithm of the rate; nothing is extrapolated."
    : "There is nothing to compare: BD-rate needs the anchor and one more codec, and PSNR, MS-SSIM or SSIMULACRA2.");
  if (!results.bd.length) return;
  sortableTable(byId("bd"), `BD-rate against ${label(results.anchor)}`, [
    { title: "Codec", value: (row) => label(row.codec), wide: true },
    { title: "Metric", value: (row) => metric(row).label },
    { title: "BD-rate, %", value: (row) => row.bd_rate,
      text: (row) => (row.bd_rate == null ? "refused" : signed(row.bd_rate, 1)) },
    { title: "At equal rate", value: (row) => row.bd_quality,
      text: (row) => (row.bd_quality == null ? NONE : signed(row.bd_quality, digits(row))) },
    { title: "Range", value: (row) => row.low,
      text: (row) => (row.low == null ? NONE : `${fixed(row.low, digits(row))} to ${fixed(row.high, digits(row))}`) },
    { title: "Points", value: (row) => row.points[1], text: (row) => row.points.join(" and ") },
    { title: "Pictures", value: (row) => row.pictures, digits: 0 },
    { title: "Why refused", value: (row) => row.reason, text: (row) => row.reason ?? "", long: true },
  ], results.bd);
}

const signed = (value, digits) => (value > 0 ? "+" : "") + fixed(value, digits);

function speedTable() {
  say("speed-note", results.speed.length
    ? "Encode and decode: in one process with the model loaded, medians over the pictures of so many megapixels each " +
      "in the mean. Cold: a new process for the picture that is named, from " +
      "its start to its end; peak: the resident memory of that process."
    : "Times were not measured in this run.");
  if (!results.speed.length) return;
  const column = (title, key, digits) => ({ title, value: (row) => row[key], digits });
  sortableTable(byId("speed"), "Speed and memory", [
    { title: "Codec", value: (row) => label(row.codec), wide: true },
    { title: "Picture", value: (row) => row.picture },
    column("Quality", "quality", 0),
    column("bpp", "bpp", 2),
    column("Encode, s", "encode_s", 3),
    column("Decode, s", "decode_s", 3),
    column("Cold encode, s", "cold_encode_s", 2),
    column("Cold decode, s", "cold_decode_s", 2),
    column("Encode peak, MB", "encode_peak_mb", 0),
    column("Decode peak, MB", "decode_peak_mb", 0),
    column("Pictures", "pictures", 0),
    column("Megapixels", "megapixels", 2),
  ], results.speed);
}

function facts(pairs) {
  return element("dl", {}, ...pairs.filter(([, value]) => value != null).flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}

function listed(place, title, columns, rows, folded) {
  if (!rows.length) return;
  const box = element("div");
  sortableTable(box, title, columns, rows);
  place.append(folded
    ? element("details", {}, element("summary", {}, title), box)
    : element("div", {}, element("h3", {}, title), box));
}

const text = (title, key, long = false) => ({ title, value: (row) => row[key], long });
const code = (title, key) => ({ ...text(title, key, true), text: (row) => element("code", {}, row[key]) });

function howMeasured() {
  const place = byId("how"), machine = results.machine;
  place.append(facts([
    ["Command", element("code", {}, results.command)],
    ["Date", results.date],
    ["Processor", `${machine.cpu}, ${machine.cores} cores, ${fixed(machine.memory_gb, 1)} GB of memory`],
    ["GPU", machine.gpu],
    ["System", machine.system],
    ["Versions", Object.entries(results.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ]));
  listed(place, "Failures", [text("Picture", "picture"), { title: "Codec", value: (row) => label(row.codec) },
    { title: "Quality", value: (row) => row.quality, digits: 0 }, text("Reason", "reason", true)], results.failures);
  listed(place, "Codecs left out", [text("Codec", "codec"), text("Reason", "reason", true)], results.left_out);
  listed(place, "Codecs", [text("Codec", "label"), text("Name", "name"), text("Settings", "settings", true)],
    results.codecs);
  listed(place, "Models", [text("Model", "name"), { title: "Version", value: (row) => row.version, digits: 0 },
    code("Entropy id", "entropy_id"), code("Synthesis id", "synthesis_id"),
    code("SHA-256 of the weights file", "sha256")], results.models);
  listed(place, `Pictures (${results.pictures.length})`, [text("Picture", "name"),
    { title: "Size", value: (row) => row.width * row.height, text: (row) => `${row.width} × ${row.height}` },
    code("SHA-256 of the RGB pixels", "sha256")], results.pictures, true);
  listed(place, `Published curves (${page.published.length})`, [text("Codec", "name"), text("Kind", "kind"),
    text("Average of PSNR", "psnr_average", true), text("Source", "source", true)], page.published, true);
}
