"use strict";
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x"];
const VIEWS = {
  equilibrium: { title: "Equilibrium (theory, sampling)", stages: ["theory", "sampling"], x: "temperature" },
  training: { title: "Training in time", stages: ["dynamics"], x: "time" },
  parity: { title: "Parity (sampling against theory)", stages: ["theory", "sampling"], x: null },
};
const MOST_PANELS = 12;
const state = { view: null, variable: null, x: null, color: "", panel: "", slices: {}, logx: true, logy: false };
let DATA, NUMBERS, DIMENSIONS, plotted = { columns: [], rows: [], shapes: [], peaks: [] };

async function unpack(id) {
  const element = document.getElementById(id);
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
  element.remove();
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function start() {
  const library = document.createElement("script");
  library.textContent = await unpack("library");
  document.head.append(library);
  DATA = JSON.parse(await unpack("data"));
  DIMENSIONS = new Map(DATA.dimensions.map((d) => [d.name, d])); // in the order of the menus
  NUMBERS = new Float32Array(Uint8Array.from(atob(DATA.numbers), (c) => c.charCodeAt(0)).buffer);
  for (const stage of Object.values(DATA.stages)) {
    for (const variable of Object.values(stage.variables)) variable.strides = strides(stage, variable);
  }
  document.getElementById("configuration").textContent = DATA.configuration;
  for (const note of DATA.notes) document.getElementById("notes").append(Object.assign(document.createElement("li"), { textContent: note }));
  state.view = views()[0];
  document.getElementById("download").addEventListener("click", download);
  for (const format of ["svg", "png"]) {
    document.getElementById(`picture-${format}`).addEventListener("click", () => picture(format));
  }
  readAddress();
  update();
  window.addEventListener("hashchange", () => {
    if (location.hash === address()) return;
    readAddress();
    update();
  });
  document.body.dataset.ready = "true";
}

// --- data

function strides(stage, variable) {
  const out = {};
  let step = 1;
  for (const dim of [...variable.dims].reverse()) {
    out[dim] = step;
    step *= stage.axes[dim].length;
  }
  return out;
}

function views() {
  const have = (stage) => stage in DATA.stages;
  return Object.keys(VIEWS).filter((v) => (v === "parity" ? VIEWS[v].stages.every(have) : VIEWS[v].stages.some(have)));
}

function stagesShown() {
  return VIEWS[state.view].stages.filter((s) => s in DATA.stages && state.variable in DATA.stages[s].variables);
}

function variablesShown() {
  const names = VIEWS[state.view].stages.filter((s) => s in DATA.stages).map((s) => Object.keys(DATA.stages[s].variables));
  const all = state.view === "parity" ? names[1].filter((n) => names[0].includes(n)) : [...new Set(names.flat())];
  return all.filter((n) => n !== "converged" && (state.view !== "training" || dimsOf("dynamics", n).includes("time")));
}

function dimsOf(stage, name) {
  return DATA.stages[stage]?.variables[name]?.dims ?? [];
}

// Values of an axis over the stages shown, numbers in order.
function axisValues(dim) {
  const out = [];
  for (const stage of stagesShown()) {
    for (const v of dimsOf(stage, state.variable).includes(dim) ? DATA.stages[stage].axes[dim] : []) {
      if (!out.includes(v)) out.push(v);
    }
  }
  return out.every((v) => typeof v === "number") ? out.sort((a, b) => a - b) : out;
}

function logarithmic(dim) {
  return Boolean(DIMENSIONS.get(dim)?.logarithmic);
}

function averagedOver(dim) {
  return Boolean(DIMENSIONS.get(dim)?.averaged);
}

function freeDims() {
  const dims = new Set(stagesShown().flatMap((s) => dimsOf(s, state.variable)));
  return [...DIMENSIONS.values()].filter((d) => d.sliced && dims.has(d.name)).map((d) => d.name);
}

function read(stage, name, where) {
  const variable = DATA.stages[stage].variables[name];
  if (!variable) return NaN;
  let at = variable.start;
  for (const dim of variable.dims) {
    if (!(dim in where)) return NaN;
    const axis = DATA.stages[stage].axes[dim];
    const i = axis.indexOf(where[dim]);
    if (i < 0) return NaN;
    at += i * variable.strides[dim];
  }
  return NUMBERS[at];
}

// Mean over the averaged axes, with the standard error (one member) or the standard deviation (several).
function average(stage, name, where, dims) {
  let points = [where];
  for (const dim of dims) points = points.flatMap((p) => DATA.stages[stage].axes[dim].map((v) => ({ ...p, [dim]: v })));
  const sampling = stage === "sampling";
  const at = (p) => (sampling ? { ...p, statistic: "mean" } : p);
  const values = points.map((p) => read(stage, name, at(p)));
  const used = values.map((v, i) => [v, points[i]]).filter(([v]) => Number.isFinite(v));
  if (!used.length) return null;
  const mean = used.reduce((s, [v]) => s + v, 0) / used.length;
  const spread = used.length > 1
    ? Math.sqrt(used.reduce((s, [v]) => s + (v - mean) ** 2, 0) / (used.length - 1))
    : sampling ? read(stage, name, { ...used[0][1], statistic: "mcse" }) : 0;
  const converged = used.length === values.length && used.every(([, p]) => read(stage, "converged", at(p)) !== 0);
  return { y: mean, error: Number.isFinite(spread) ? spread : 0, converged };
}

// --- the address: a view can be shared, and found again by going back

const PLAIN = ["view", "variable", "x", "color", "panel"];
const FLAGS = ["logx", "logy"];

function address() {
  const words = new URLSearchParams();
  for (const key of PLAIN) if (state[key]) words.set(key, state[key]);
  for (const key of FLAGS) words.set(key, state[key] ? "1" : "0");
  for (const dim of freeDims()) {
    const sliced = ![state.x, state.color, state.panel].includes(dim) && axisValues(dim).length > 1;
    if (sliced) words.set(`at.${dim}`, state.slices[dim]);
  }
  return `#${words}`;
}

// Take over what the address says; what does not exist in this study is put right by settle().
function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  if (views().includes(words.get("view"))) changeView(words.get("view"));
  for (const key of PLAIN.slice(1)) if (words.has(key)) state[key] = words.get(key);
  for (const [key, value] of words) if (key.startsWith("at.")) state.slices[key.slice(3)] = value;
  if (words.has("view") && !words.has("color")) state.color = "";
  if (words.has("view") && !words.has("panel")) state.panel = "";
  settle();
  for (const key of FLAGS) if (words.has(key)) state[key] = words.get(key) === "1";
}

function writeAddress() {
  try {
    history.replaceState(null, "", address());
  } catch {
    // A page inside another may not change its address; it works all the same.
  }
}

// --- controls

function control(label, options, value, onChange, wide, shown = label) {
  const box = document.createElement("label");
  box.textContent = shown;
  if (wide) box.className = "wide";
  const select = document.createElement("select");
  select.name = label;
  for (const [key, text] of options) select.append(new Option(text, key, false, String(key) === String(value)));
  select.addEventListener("change", () => { onChange(select.value); update(label); });
  box.append(select);
  return box;
}

function check(label, value, onChange) {
  const box = document.createElement("label");
  box.className = "check";
  const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: value, name: label });
  input.addEventListener("change", () => { onChange(input.checked); update(label); });
  box.append(input, label);
  return box;
}

function words(name) {
  return String(name).replaceAll("_", " ");
}

// What a variable or an axis is, for menus: words and the symbol of the figures.
function named(name) {
  const variable = stagesOfView().map((s) => DATA.stages[s].variables[name]).find(Boolean);
  const symbol = variable ? variable.symbol : DIMENSIONS.get(name)?.symbol;
  const title = variable?.long_name ? brief(variable.long_name) : DIMENSIONS.get(name)?.title ?? words(name);
  if (!symbol) return title;
  return variable ? `${symbol.text}  ${title}` : `${title} ${symbol.text}`;
}

// The same for axes and legends of the plot, as HTML.
function titled(name, short) {
  const variable = stagesOfView().map((s) => DATA.stages[s].variables[name]).find(Boolean);
  const symbol = variable ? variable.symbol : DIMENSIONS.get(name)?.symbol;
  if (!symbol) return escaped(variable?.long_name ? brief(variable.long_name) : DIMENSIONS.get(name)?.title ?? words(name));
  if (variable) return symbol.html;
  return short ? symbol.html : `${escaped(DIMENSIONS.get(name).title)} ${symbol.html}`;
}

// "D = 0.3" or "split test": a value of an axis.
function valued(dim, value) {
  return DIMENSIONS.get(dim)?.symbol ? `${titled(dim, true)} = ${show(value)}` : `${escaped(words(dim))} ${escaped(show(value))}`;
}

function stagesOfView() {
  return VIEWS[state.view].stages.filter((s) => s in DATA.stages);
}

// A long name without what it adds in brackets or after a comma.
function brief(text) {
  return text.split(" (")[0].split(",")[0];
}

function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function show(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : words(value);
}

// Bring the state in line with what the cubes offer for the chosen view and variable.
function settle() {
  if (!variablesShown().includes(state.variable)) {
    state.variable = variablesShown().includes("centroid_distance_sq") ? "centroid_distance_sq" : variablesShown()[0];
  }
  const several = freeDims().filter((d) => axisValues(d).length > 1);
  if (state.view === "parity") {
    state.x = null;
  } else if (!several.includes(state.x)) {
    state.x = several.includes(VIEWS[state.view].x) ? VIEWS[state.view].x : several.find((d) => !averagedOver(d)) ?? freeDims()[0];
    state.logx = logarithmic(state.x);
  }
  if (!several.includes(state.color) || state.color === state.x) state.color = "";
  const panels = several.includes(state.panel) && state.view !== "parity";
  if (!panels || state.panel === state.x || state.panel === state.color) state.panel = "";
  for (const dim of freeDims()) {
    const options = sliceOptions(dim).map(([key]) => String(key));
    if (!options.includes(String(state.slices[dim]))) state.slices[dim] = options[0];
  }
}

function sliceOptions(dim) {
  const values = axisValues(dim).map((v) => [String(v), show(v)]);
  if (values.length < 2) return values;
  if (state.view === "parity") return [["all", "all"], ...values];
  return averagedOver(dim) ? [["mean", "mean ± s.d."], ...values] : values;
}

function controls(focus) {
  const form = document.getElementById("controls");
  form.replaceChildren();
  const several = freeDims().filter((d) => axisValues(d).length > 1);
  form.append(control("show", views().map((v) => [v, VIEWS[v].title]), state.view, changeView, true));
  form.append(control("variable", variablesShown().map((v) => [v, named(v)]), state.variable, (v) => { state.variable = v; }, true));
  if (state.view !== "parity") {
    form.append(control("horizontal axis", several.map((d) => [d, named(d)]), state.x, (v) => { state.x = v; state.logx = logarithmic(v); }));
  }
  const colors = several.filter((d) => d !== state.x && (state.view === "parity" || !averagedOver(d)));
  form.append(control("colour by", [["", "theory"], ...colors.map((d) => [d, named(d)])], state.color, (v) => { state.color = v; }));
  if (state.view !== "parity") {
    const panels = colors.filter((d) => d !== state.color);
    form.append(control("a panel for each", [["", "no panels"], ...panels.map((d) => [d, named(d)])], state.panel, (v) => { state.panel = v; }));
  }
  for (const dim of several) {
    if (![state.x, state.color, state.panel].includes(dim)) {
      form.append(control(words(dim), sliceOptions(dim), state.slices[dim], (v) => { state.slices[dim] = v; }, false, named(dim)));
    }
  }
  form.append(check("log horizontal", state.logx, (v) => { state.logx = v; }), check("log vertical", state.logy, (v) => { state.logy = v; }));
  if (focus) form.elements.namedItem(focus)?.focus();
}

// A parity view starts from every point and linear axes, the others from one slice.
function changeView(view) {
  const turn = (view === "parity") !== (state.view === "parity");
  state.view = view;
  if (turn) state.slices = {};
  state.logx = view !== "parity";
  state.logy = false;
}

// --- T*

// Vertex of the parabola in ln x through the largest value and its neighbours; null at an end of the axis.
function parabolaPeak(points) {
  const top = points.y.indexOf(Math.max(...points.y));
  if (points.y.length < 3 || top < 1 || top > points.y.length - 2) return null;
  const [a, b, c] = [top - 1, top, top + 1].map((i) => Math.log(points.x[i]));
  const left = (points.y[top] - points.y[top - 1]) / (b - a);
  const right = (points.y[top + 1] - points.y[top]) / (c - b);
  const bend = (right - left) / (c - a);
  if (!(bend < 0)) return { x: points.x[top], y: points.y[top] };
  const at = Math.min(Math.max(0.5 * (a + b) - left / (2 * bend), Math.min(a, c)), Math.max(a, c));
  return { x: Math.exp(at), y: points.y[top - 1] + (at - a) * (left + bend * (at - b)) };
}

// T* of a theory line: as the theory found it, where it is of a single draw; else read off the averaged line.
function peakOf(points, where, averaged) {
  const wanted = state.variable === "centroid_distance_sq" && state.x === "temperature";
  if (!wanted || where.approximation === DATA.prior) return null;
  const peak = parabolaPeak(points);
  const single = averaged.every((dim) => DATA.stages.theory.axes[dim].length === 1);
  const first = Object.fromEntries(averaged.map((dim) => [dim, DATA.stages.theory.axes[dim][0]]));
  const stored = single ? read("theory", "peak_temperature", { ...where, ...first }) : NaN;
  return peak && Number.isFinite(stored) ? { x: stored, y: peak.y } : peak;
}

function peakTrace(peak, name, color) {
  return { x: [peak.x], y: [peak.y], name: `T*, ${name}`, type: "scatter", mode: "markers", showlegend: false,
    marker: { color, size: 11, symbol: "triangle-down", line: { color: "#fff", width: 1 } },
    hovertemplate: "T* = %{x:.4g}<br>D = %{y:.5g}<extra>%{fullData.name}</extra>" };
}

function peakLine(peak, color, k) {
  return { type: "line", x0: peak.x, x1: peak.x, y0: 0, y1: 1, xref: axisOf("x", k), yref: `${axisOf("y", k)} domain`, layer: "below", line: { color, width: 1, dash: "dot" } };
}

// --- traces

// Points of the product of the sliced axes, with the axes that are averaged left out.
function fixed(stage, skip) {
  const where = {};
  const averaged = [];
  for (const dim of dimsOf(stage, state.variable)) {
    if (skip.includes(dim) || !DIMENSIONS.get(dim).sliced) continue;
    if (state.slices[dim] === "mean") averaged.push(dim);
    else where[dim] = DATA.stages[stage].axes[dim].find((v) => String(v) === state.slices[dim]) ?? nearest(stage, dim);
  }
  return { where, averaged };
}

function nearest(stage, dim) {
  const wanted = axisValues(dim).find((v) => String(v) === state.slices[dim]);
  return DATA.stages[stage].axes[dim].find((v) => v === wanted);
}

function curve(stage, where, averaged) {
  const out = { x: [], y: [], error: [], open: [] };
  for (const x of DATA.stages[stage].axes[state.x] ?? []) {
    const point = average(stage, state.variable, { ...where, [state.x]: x }, averaged);
    if (!point) continue;
    out.x.push(x);
    out.y.push(point.y);
    out.error.push(point.error);
    out.open.push(!point.converged);
  }
  return out;
}

function band(points, color) {
  const upper = points.y.map((y, i) => y + points.error[i]);
  const lower = points.y.map((y, i) => y - points.error[i]);
  return { x: [...points.x, ...[...points.x].reverse()], y: [...upper, ...lower.reverse()], fill: "toself", mode: "lines",
    fillcolor: color + "26", line: { width: 0 }, hoverinfo: "skip", showlegend: false, name: "spread" };
}

// Values that have a panel each: all of them, or a few evenly chosen, in the logarithm where the axis is spread so.
function panelValues() {
  if (!state.panel) return [null];
  const all = axisValues(state.panel);
  if (all.length <= MOST_PANELS) return all;
  const place = all.map((v, i) => (logarithmic(state.panel) ? Math.log(v) : i));
  const left = new Set(place.keys());
  for (let k = 0; k < MOST_PANELS; k += 1) {
    const target = place[0] + (k * (place.at(-1) - place[0])) / (MOST_PANELS - 1);
    left.delete([...left].reduce((a, b) => (Math.abs(place[b] - target) < Math.abs(place[a] - target) ? b : a)));
  }
  return all.filter((_, i) => !left.has(i));
}

// Name of an axis of the k-th panel: x, x2, x3, ...
function axisOf(letter, k) {
  return k ? `${letter}${k + 1}` : letter;
}

function curveTraces() {
  const named = new Set();
  return panelValues().flatMap((value, k) => {
    const traces = panelTraces(value, k);
    // One entry of the legend for all panels, and a click on it is for all of them.
    for (const trace of traces) {
      Object.assign(trace, { xaxis: axisOf("x", k), yaxis: axisOf("y", k), legendgroup: trace.name });
      if (trace.showlegend === false) continue;
      trace.showlegend = !named.has(trace.name);
      named.add(trace.name);
    }
    return traces;
  });
}

function panelTraces(panelValue, k) {
  const traces = [];
  const peaks = [];
  const colors = state.color ? axisValues(state.color) : [null];
  colors.forEach((value, c) => {
    for (const stage of stagesShown()) {
      const { where, averaged } = fixed(stage, [state.x, state.color, state.panel]);
      if (state.panel && dimsOf(stage, state.variable).includes(state.panel)) where[state.panel] = panelValue;
      if (state.color && dimsOf(stage, state.variable).includes(state.color)) where[state.color] = value;
      const own = stage === "theory" ? "approximation" : stage === "dynamics" ? "optimizer" : null;
      const lines = own && dimsOf(stage, state.variable).includes(own) ? DATA.stages[stage].axes[own] : [null];
      lines.forEach((line, l) => {
        const points = curve(stage, line === null ? where : { ...where, [own]: line }, averaged);
        if (!points.x.length) return;
        const look = DATA.looks[own]?.[line] ?? { color: stage === "sampling" ? "#000000" : PALETTE[l % PALETTE.length], dash: "solid", title: stage };
        const color = state.color ? PALETTE[c % PALETTE.length] : look.color;
        const name = [look.title, state.color ? valued(state.color, value) : ""].filter(Boolean).join(", ");
        if (stage !== "sampling" && points.error.some((e) => e > 0)) traces.push(band(points, color));
        traces.push(stage === "sampling" ? pointTrace(points, name, color) : lineTrace(points, name, color, look.dash));
        const peak = stage === "theory" ? peakOf(points, { ...where, [own]: line }, averaged) : null;
        if (peak) {
          peaks.push(peakTrace(peak, name, color));
          plotted.shapes.push(peakLine(peak, color, k));
          const at = state.panel ? `, ${words(state.panel)} ${show(panelValue)}` : "";
          plotted.peaks.push(`T* = ${show(peak.x)} (${look.title}${state.color ? `, ${words(state.color)} ${show(value)}` : ""}${at})`);
        }
        for (let i = 0; i < points.x.length; i += 1) {
          plotted.rows.push([stage, line ?? "", state.color ? value : "", points.x[i], points.y[i], points.error[i], points.open[i] ? 0 : 1, ...(state.panel ? [panelValue] : [])]);
        }
      });
    }
  });
  plotted.columns = ["stage", "theory_or_optimizer", state.color || "colour", state.x, state.variable, "error", "converged", ...(state.panel ? [state.panel] : [])];
  return [...traces, ...peaks];
}

function lineTrace(points, name, color, dash) {
  const few = points.x.length < 3;
  const open = points.open.some((o) => o);
  return { x: points.x, y: points.y, name, type: "scatter", mode: few || open ? "lines+markers" : "lines",
    line: { color, dash, width: 2 }, marker: { color, size: few ? 7 : points.open.map((o) => (o ? 7 : 0.1)), symbol: points.open.map((o) => (o ? "circle-open" : "circle")) } };
}

function pointTrace(points, name, color) {
  return { x: points.x, y: points.y, name, type: "scatter", mode: "markers",
    error_y: { type: "data", array: points.error, visible: true, thickness: 1.2, width: 4, color },
    marker: { color, size: 8, symbol: points.open.map((o) => (o ? "circle-open" : "circle")) } };
}

// Every sampled point in the selection, as axis -> value.
function sampledPoints() {
  let points = [{}];
  for (const dim of dimsOf("sampling", state.variable)) {
    if (!DIMENSIONS.get(dim).sliced) continue;
    const free = state.slices[dim] === "all" || dim === state.color;
    const values = DATA.stages.sampling.axes[dim].filter((v) => free || String(v) === state.slices[dim]);
    points = points.flatMap((p) => values.map((v) => ({ ...p, [dim]: v })));
  }
  return points;
}

function parityTraces() {
  const groups = new Map();
  const axes = dimsOf("sampling", state.variable).filter((d) => DIMENSIONS.get(d).sliced);
  plotted.columns = ["theory", ...axes, "theory_value", "sampling_value", "mcse", "z", "converged"];
  const theories = DATA.stages.theory.axes.approximation;
  const looks = DATA.looks.approximation;
  for (const where of sampledPoints()) {
    const y = read("sampling", state.variable, { ...where, statistic: "mean" });
    const error = read("sampling", state.variable, { ...where, statistic: "mcse" });
    if (!Number.isFinite(y)) continue;
    theories.forEach((theory, k) => {
      const here = { ...where, approximation: theory };
      const x = read("theory", state.variable, here);
      if (!Number.isFinite(x)) return;
      const good = read("theory", "converged", here) !== 0 && read("sampling", "converged", { ...where, statistic: "mean" }) !== 0;
      const z = (x - y) / error;
      const label = state.color ? `${looks[theory].title}, ${valued(state.color, where[state.color])}` : looks[theory].title;
      const color = state.color ? PALETTE[axisValues(state.color).indexOf(where[state.color]) % PALETTE.length] : looks[theory].color;
      if (!groups.has(label)) groups.set(label, { x: [], y: [], error: [], text: [], open: [], color, symbol: SYMBOLS[k % SYMBOLS.length] });
      const group = groups.get(label);
      group.x.push(x);
      group.y.push(y);
      group.error.push(error);
      group.open.push(!good);
      group.text.push(`z = ${z.toPrecision(3)}<br>` + axes.filter((d) => axisValues(d).length > 1).map((d) => `${words(d)} ${show(where[d])}`).join("<br>"));
      plotted.rows.push([theory, ...axes.map((d) => where[d]), x, y, error, z, good ? 1 : 0]);
    });
  }
  const traces = [...groups].map(([name, g]) => ({ x: g.x, y: g.y, text: g.text, name, type: "scatter", mode: "markers",
    error_y: { type: "data", array: g.error, visible: true, thickness: 1, width: 0, color: g.color },
    marker: { color: g.color, size: 7, symbol: g.open.map((o) => (o ? `${g.symbol}-open` : g.symbol)) },
    hovertemplate: "theory %{x:.5g}<br>sampling %{y:.5g}<br>%{text}<extra>%{fullData.name}</extra>" }));
  const all = [...groups.values()].flatMap((g) => [...g.x, ...g.y]);
  if (all.length) {
    const ends = [Math.min(...all), Math.max(...all)];
    traces.unshift({ x: ends, y: ends, mode: "lines", line: { color: "#999999", width: 1 }, hoverinfo: "skip", name: "equal", type: "scatter" });
  }
  return traces;
}

// --- drawing

function layout() {
  const parity = state.view === "parity";
  const narrow = window.innerWidth < 560;
  const frame = { showline: true, mirror: true, ticks: "inside", linecolor: "#444", gridcolor: "#eceff3", zeroline: false, exponentformat: "power" };
  const title = titled(state.variable);
  if (state.panel) return panelLayout(frame, title, narrow);
  return {
    margin: { l: narrow ? 58 : 76, r: 14, t: 12, b: 52 }, font: { size: narrow ? 12 : 14 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    xaxis: { ...frame, type: state.logx && positive("x") ? "log" : "linear", title: { text: parity ? `theory: ${title}` : titled(state.x) }, dtick: state.logx && positive("x") && !parity && !narrow ? 1 : undefined },
    yaxis: { ...frame, type: state.logy && positive("y") ? "log" : "linear", title: { text: parity ? `sampling: ${title}` : title, standoff: 8 } },
    legend: { orientation: "h", y: 1.01, yanchor: "bottom", x: 0 }, hovermode: "closest",
    shapes: plotted.shapes,
  };
}

// Small multiples with common axes: as square a grid as fits, a title above each panel.
function panelLayout(frame, title, narrow) {
  const values = panelValues();
  const columns = narrow ? Math.min(2, values.length) : Math.min(values.length, values.length > 4 ? Math.ceil(Math.sqrt(values.length)) : values.length);
  const rows = Math.ceil(values.length / columns);
  const gap = { x: 0.04, y: Math.min(0.12, 0.35 / rows) };
  const out = {
    margin: { l: narrow ? 58 : 76, r: 14, t: 40, b: 52 }, font: { size: narrow ? 11 : 13 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    legend: { orientation: "h", y: 1.06, yanchor: "bottom", x: 0 }, hovermode: "closest", shapes: plotted.shapes, annotations: [],
  };
  values.forEach((value, k) => {
    const [row, column] = [Math.floor(k / columns), k % columns];
    const [width, height] = [(1 - gap.x * (columns - 1)) / columns, (1 - gap.y * (rows - 1)) / rows];
    const left = column * (width + gap.x);
    const top = 1 - row * (height + gap.y);
    const lowest = k + columns >= values.length;
    const across = { ...frame, type: state.logx && positive("x") ? "log" : "linear", domain: [left, left + width], anchor: axisOf("y", k), showticklabels: lowest, dtick: state.logx && positive("x") ? 1 : undefined };
    const up = { ...frame, type: state.logy && positive("y") ? "log" : "linear", domain: [top - height, top], anchor: axisOf("x", k), showticklabels: column === 0 };
    if (lowest) across.title = { text: titled(state.x) };
    if (column === 0) up.title = { text: title, standoff: 6 };
    if (k) {
      across.matches = "x";
      up.matches = "y";
    }
    out[axisOf("xaxis", k)] = across;
    out[axisOf("yaxis", k)] = up;
    out.annotations.push({ text: valued(state.panel, value), x: left + width / 2, y: top, xref: "paper", yref: "paper", xanchor: "center", yanchor: "bottom", showarrow: false });
  });
  return out;
}

function positive(axis) {
  const column = state.view === "parity" ? plotted.columns.indexOf(axis === "x" ? "theory_value" : "sampling_value") : axis === "x" ? 3 : 4;
  return plotted.rows.length > 0 && plotted.rows.every((row) => typeof row[column] === "number" && row[column] > 0);
}

function update(focus) {
  settle();
  controls(focus);
  plotted = { columns: [], rows: [], shapes: [], peaks: [] };
  const traces = state.view === "parity" ? parityTraces() : curveTraces();
  const box = document.getElementById("plot");
  const tall = Boolean(state.panel) && panelValues().length > 4;
  const resized = box.classList.contains("panels") !== tall;
  box.classList.toggle("panels", tall);
  Plotly.react("plot", traces, layout(), {
    responsive: true,
    displaylogo: false,
    displayModeBar: window.innerWidth >= 560,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  });
  if (resized) Plotly.Plots.resize("plot");
  const meaning = stagesShown().map((s) => DATA.stages[s].variables[state.variable].long_name).find(Boolean) ?? "";
  document.getElementById("message").textContent = plotted.rows.length
    ? `${fewPanels()}${meaning}. ${plotted.rows.length} points; hollow: not converged. ${plotted.peaks.join("; ")}`.trim()
    : "No data for this selection.";
  writeAddress();
  document.body.dataset.draws = String(Number(document.body.dataset.draws ?? 0) + 1);
}

// What is not in panels, said where some values have none.
function fewPanels() {
  const [shown, all] = state.panel ? [panelValues().length, axisValues(state.panel).length] : [0, 0];
  return shown < all ? `${shown} of ${all} values of ${DIMENSIONS.get(state.panel).title} have a panel. ` : "";
}

// The plot as a file: as it is on the page, white, and of print's size where it is a raster.
function picture(format) {
  const box = document.getElementById("plot").getBoundingClientRect();
  const options = { format, width: Math.round(box.width), height: Math.round(box.height), filename: fileName(), scale: format === "png" ? 3 : 1 };
  return Plotly.downloadImage("plot", options);
}

function fileName() {
  return `${DATA.study}-${state.view}-${state.variable}`;
}

function csv() {
  const sliced = freeDims().filter((d) => state.view !== "parity" && ![state.x, state.color, state.panel].includes(d));
  const cell = (v) => (typeof v === "string" && /[",\n]/.test(v) ? `"${v.replaceAll('"', '""')}"` : String(v));
  const columns = [...plotted.columns, ...sliced];
  const rows = plotted.rows.map((row) => [...row, ...sliced.map((d) => state.slices[d])]);
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `${fileName()}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

window.addEventListener("error", (event) => { document.body.dataset.error = event.message; });
start().catch((error) => {
  document.body.dataset.error = String(error);
  document.getElementById("message").textContent = `This page could not be shown: ${error}`;
});
