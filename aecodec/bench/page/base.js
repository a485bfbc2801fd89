// What all parts of the page use. Text from outside reaches the document as text nodes only.

const page = JSON.parse(document.getElementById("data").textContent);
const results = page.results;
const labels = new Map(results.codecs.map((codec) => [codec.name, codec.label]));
const metrics = new Map(page.metrics.map((metric) => [metric.key, metric]));
const NONE = "–";

const byId = (id) => document.getElementById(id);
const label = (codec) => labels.get(codec) ?? codec;
const fixed = (value, digits) => (value == null ? NONE : value.toFixed(digits).replace("-", "−"));
const isDark = () => document.documentElement.dataset.theme === "dark";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function fillSelect(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

function say(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function bytesOf(id) {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
