"use strict";
// Names, reasons and links come from files: they are set only as text, or as parts of a relative path.
const PER_PAGE = 60, KINDS = ["written", "rejected", "failed"];
const { total, rows } = JSON.parse(document.getElementById("rows").textContent);
const SORTS = {
  "name": (row, place) => place,
  "yaw, right to left": (row) => row.face.yaw,
  "yaw, turned most": (row) => row.face.yaw == null ? null : -Math.abs(row.face.yaw),
  "score, lowest": (row) => row.face.score,
  "confidence, lowest": (row) => row.face.confidence,
  "sharpness, lowest": (row) => row.face.sharpness,
};
const byId = (id) => document.getElementById(id);
const view = { kind: "", code: "", sort: "name", reversed: false, find: "", page: 0, shown: [] };

function create(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

function link(path) {
  try { return "./" + path.split("/").map(encodeURIComponent).join("/"); }
  catch { return null; } // a file name that is not valid Unicode
}

function tile(thumbnail, path, alt) {
  const href = path && link(path), frame = create(href ? "a" : "span", "tile", thumbnail ? "" : "no picture");
  if (href) { frame.href = href; frame.target = "_blank"; frame.title = alt; }
  if (thumbnail) {
    const image = create("img");
    image.src = "data:image/webp;base64," + thumbnail;
    image.alt = alt;
    frame.append(image);
  }
  return frame;
}

function degrees(value) {
  const whole = Math.round(value);
  return `${whole > 0 ? "+" : whole < 0 ? "−" : ""}${Math.abs(whole)}°`;
}

function describe(face) {
  const pose = ["yaw", "pitch", "roll"].filter((name) => name in face).map((name) => `${name} ${degrees(face[name])}`);
  const marks = [["score", 2], ["confidence", 2], ["sharpness", 0]].filter(([name]) => name in face).map(([name, digits]) => `${name} ${face[name].toFixed(digits)}`);
  return [pose, marks].map((line) => line.join(" · ")).filter(Boolean);
}

function card(place) {
  const row = rows[place], box = create("article", row.status), pictures = create("div", "pictures");
  const thumbnails = (byId("t" + place)?.textContent ?? "").split(" ");
  pictures.append(tile(thumbnails[0], row.photo, row.input));
  row.outputs.forEach((output, number) => pictures.append(tile(thumbnails[number + 1], output, output)));
  if (row.reason) {
    const reason = create("div", "reason"), [code, ...detail] = row.reason.split(":");
    reason.append(create("b", "", code), detail.join(":").trim());
    pictures.append(reason);
  }
  const name = create("div", "name"), inside = create("bdi", "", row.input); // cut at the left, because names differ at the end
  name.title = row.input;
  name.append(inside);
  const lines = [...describe(row.face), ...(row.more ? [`and ${row.more} more outputs`] : [])];
  box.append(pictures, name, ...lines.map((line) => create("div", "pose", line)));
  return box;
}

function choose() {
  const wanted = view.find.toLowerCase(), key = SORTS[view.sort];
  view.shown = [...rows.keys()].filter((place) => {
    const row = rows[place];
    return (!view.kind || row.status === view.kind) && (!view.code || row.reason.split(":")[0] === view.code)
      && (!wanted || row.input.toLowerCase().includes(wanted) || row.reason.toLowerCase().includes(wanted));
  });
  const keys = new Map(view.shown.map((place) => [place, key(rows[place], place)])), sign = view.reversed ? -1 : 1;
  view.shown.sort((a, b) => {
    const one = keys.get(a), other = keys.get(b);
    if (one == null || other == null) return (one == null) - (other == null) || a - b; // unknown values come last in both orders
    return sign * (one - other) || a - b;
  });
  view.page = 0;
  draw();
}

function draw() {
  const from = view.page * PER_PAGE, part = view.shown.slice(from, from + PER_PAGE);
  document.querySelector("main").replaceChildren(...part.map(card));
  byId("none").hidden = part.length > 0;
  byId("place").textContent = part.length ? `${(from + 1).toLocaleString("en")}–${(from + part.length).toLocaleString("en")} of ${view.shown.length.toLocaleString("en")}` : "0";
  byId("back").disabled = view.page === 0;
  byId("next").disabled = from + PER_PAGE >= view.shown.length;
  for (const button of byId("status").children) button.ariaPressed = button.dataset.kind === view.kind;
}

function turnPage(by) {
  const last = Math.max(0, Math.ceil(view.shown.length / PER_PAGE) - 1), page = Math.min(last, Math.max(0, view.page + by));
  if (page === view.page) return;
  view.page = page;
  draw();
  scrollTo(0, 0);
}

function option(select, value, text) {
  const element = create("option", "", text);
  element.value = value;
  select.append(element);
}

function setUp() {
  const counts = (values) => values.reduce((sum, value) => sum.set(value, (sum.get(value) ?? 0) + 1), new Map());
  const kinds = counts(rows.map((row) => row.status)), codes = counts(rows.map((row) => row.reason.split(":")[0]).filter(Boolean));
  byId("count").textContent = rows.length < total ? `${rows.length.toLocaleString("en")} of ${total.toLocaleString("en")} inputs` : "";
  for (const kind of ["", ...KINDS.filter((kind) => kinds.has(kind))]) {
    const button = create("button", "", kind ? `${kind} ${kinds.get(kind).toLocaleString("en")}` : `all ${rows.length.toLocaleString("en")}`);
    button.dataset.kind = kind;
    button.onclick = () => { view.kind = kind; choose(); };
    byId("status").append(button);
  }
  option(byId("reason"), "", "any reason");
  for (const [code, count] of [...codes].sort((a, b) => b[1] - a[1])) option(byId("reason"), code, `${code} ${count.toLocaleString("en")}`);
  byId("reason").hidden = !codes.size;
  for (const [name, key] of Object.entries(SORTS)) if (rows.some((row, place) => key(row, place) != null)) option(byId("sort"), name, "by " + name);
  byId("reason").onchange = (event) => { view.code = event.target.value; choose(); };
  byId("sort").onchange = (event) => { view.sort = event.target.value; choose(); };
  byId("find").oninput = (event) => { view.find = event.target.value; choose(); };
  byId("reverse").onclick = () => { view.reversed = !view.reversed; byId("reverse").textContent = view.reversed ? "↑" : "↓"; choose(); };
  byId("mode").onclick = () => {
    const set = document.documentElement.dataset, dark = set.mode ? set.mode === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    set.mode = dark ? "light" : "dark";
  };
  byId("back").onclick = () => turnPage(-1);
  byId("next").onclick = () => turnPage(1);
  addEventListener("keydown", (event) => {
    if (event.target.closest("input, select")) return;
    if (event.key === "ArrowLeft") turnPage(-1);
    if (event.key === "ArrowRight") turnPage(1);
  });
}

setUp();
choose(); // before the thumbnails further down have been parsed
addEventListener("DOMContentLoaded", draw);
