// The page: a video, questions about it, and what one or two systems make of each.

import { Answer } from "./answers.js";
import * as client from "./client.js";
import { count, find, make } from "./elements.js";
import { Settings } from "./settings.js";
import { Timeline } from "./timeline.js";
import { Watch } from "./watch.js";

const EXAMPLES = ["What happens in this video?", "How many different scenes does it show?"].map(question => ({ question }));
const LONGEST = 256;
const ENGINES = { own: "answers itself", vllm: "in front of a vLLM", frames: "in front of a server that is sent frames" };
let model = null, settings = [], running = null, shown = null, offered = [], example = null;

const watch = new Watch(video => { stop(); if (shown?.video !== video) show(null); offer(video); tell(""); });
const timeline = new Timeline(second => watch.go(second), (routing, place) => client.address(framePath(routing, place)));
watch.onMove = second => timeline.move(second);
watch.still = () => {
  const [track] = timeline.tracks;
  return track ? client.address(framePath(track.routing, timeline.place)) : Promise.reject();
};

// A model that merges frames has fewer entries than were sampled: an entry's picture is its first frame's.
function framePath({ video, frames }, place) {
  return `frames/${video.sha256}/${video.sampled}/${place * Math.max(1, Math.round(video.sampled / frames.length))}`;
}

const tell = text => { find("told").textContent = text; };
const lines = text => text.split("\n").map(line => line.trim()).filter(Boolean);

async function start() {
  try {
    [model] = await client.models();
    const told = model.videorouter;
    settings = [new Settings("A", told, told.system), new Settings("B", told, told.system === "dense" ? told.systems[0] : "dense")];
    find("systems").replaceChildren(...settings.map(one => one.element));
    find("model").replaceChildren(make("b", {}, model.id), ` · ${ENGINES[told.engine] ?? told.engine} · ${told.frames ? `${count(told.frames)} frames` : "frames as the base samples them"}${told.budget ? `, at most ${count(told.budget)} visual tokens` : ""}`);
    find("model").title = `base ${told.base}`;
    fitSecond();
    watch.list(await client.videos());
    tell("");
  } catch (error) {
    tell(error.status === 401 ? "" : client.sentence(error));
  }
}

// Examples are what the server says of its video, or else would do for any.
function offer(video) {
  const about = video.questions?.length ? video.questions : EXAMPLES;
  offered = about;
  find("examples").hidden = false;
  find("examples").replaceChildren(make("option", { value: "", disabled: true, selected: true }, "An example question…"), ...about.map((one, place) => make("option", { value: place }, one.question)));
}

function ask() {
  if (running) return;
  const question = find("question").value.trim(), options = lines(find("options").value), { video } = watch;
  if (!model) return void start();
  if (!video) { tell("Choose a video first."); return void find("file").focus(); }
  if (!question) { tell("Write a question first."); return void find("question").focus(); }
  if (options.length === 1 || options.length > 26) { tell("Give two options at least and 26 at most, one a line, or none."); return void find("options").focus(); }
  const right = example?.answer && example.question === question && String(example.options ?? []) === String(options) ? example.answer : null;
  const asked = (find("second").checked ? settings : settings.slice(0, 1)).map(one => ({ letter: one.letter, ...one.read() }));
  const turn = { video, question, options: options.length ? options : null, answers: [] };
  turn.answers = asked.map(one => new Answer({ ...one, options: turn.options, right }));
  // Two systems are shown the same frames.
  turn.requests = asked.map(({ system, policy, budget }) => ({ system, policy, budget, frames: asked[0].frames }));
  post(turn);
  answer(turn);
}

async function answer(turn) {
  running = new AbortController();
  const { signal } = running;
  busy(true);
  try {
    const all = turn.answers.map((_, place) => () => hear(turn, place, signal));
    if (find("together").checked) await Promise.all(all.map(one => one()));
    else for (const one of all) await one();
  } finally {
    if (running?.signal === signal) running = null;
    busy(running !== null);
    compare(turn);
  }
}

async function hear(turn, place, signal, anew = false) {
  const answer = turn.answers[place];
  if (signal.aborted) return answer.stop();
  answer.started = performance.now();
  try {
    if (turn.video.file && !turn.video.id) tell("sending the video…");
    turn.video.id = await unlessStopped(watch.address(turn.video, anew), signal);
    tell(`asking ${answer.asked.system}…`);
    let reason = null;
    for await (const chunk of client.completion(body(turn, place), signal)) {
      if (chunk.videorouter) routed(turn, answer, chunk.videorouter);
      const choice = chunk.choices?.[0];
      answer.hear(choice?.delta?.content);
      reason = choice?.finish_reason ?? reason;
    }
    answer.end(reason);
    scale(turn);
    tell("");
  } catch (error) {
    if (error.name === "AbortError") answer.stop();
    else if (error.status === 404 && turn.video.file && !anew) return hear(turn, place, signal, true);
    else answer.fail(error);
    tell("");
  }
}

function body(turn, place) {
  const wanted = Object.fromEntries(Object.entries(turn.requests[place]).filter(([, value]) => value !== null));
  const content = [{ type: "video_url", video_url: { url: turn.video.id } }, { type: "text", text: wording(turn) }];
  return { model: model.id, stream: true, stream_options: { include_usage: true }, max_tokens: LONGEST, temperature: 0, messages: [{ role: "user", content }], videorouter: wanted };
}

// As the project words questions.
function wording({ question, options }) {
  if (!options) return question;
  return [question, "Options:", ...options.map((option, place) => `(${String.fromCharCode(65 + place)}) ${option}`), "Answer with the option's letter only."].join("\n");
}

function routed(turn, answer, routing) {
  answer.route(routing);
  if (shown === turn) draw(turn);
  if (routing.video) watch.keep(turn.video);
}

function scale(turn) {
  const most = Math.max(...turn.answers.map(one => one.seconds));
  for (const one of turn.answers) one.scale(most);
}

function unlessStopped(promise, signal) {
  return Promise.race([promise, new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError"))))]);
}

function stop() {
  running?.abort();
  running = null;
}

// A button that is disabled under the focus hands it to the other one.
function busy(on) {
  const [able, not] = on ? [find("stop"), find("send")] : [find("send"), find("stop")], held = document.activeElement === not;
  able.disabled = false;
  if (held) able.focus();
  not.disabled = true;
}

function post(turn) {
  const title = make("button", { type: "button", class: "asked", "aria-pressed": "true" }, turn.question);
  const about = make("p", { class: "soft" }, turn.video.name, turn.options ? ` · ${turn.options.join(" / ")}` : "");
  turn.verdict = make("p", { class: "compared" });
  turn.element = make("article", { class: "turn" }, make("h3", {}, title), about, turn.verdict, make("div", { class: "pair" }, ...turn.answers.map(one => one.element)));
  title.addEventListener("click", () => {
    show(turn);
    if (watch.video !== turn.video) watch.choose(turn.video);
  });
  find("none").hidden = true;
  find("turns").prepend(turn.element);
  show(turn);
  turn.element.scrollIntoView({ block: "nearest" });
}

// The timeline is of one question, the last or the one that was chosen among those before.
function show(turn) {
  shown = turn;
  for (const one of find("turns").children) {
    one.classList.toggle("on", one === turn?.element);
    one.querySelector(".asked").setAttribute("aria-pressed", one === turn?.element);
  }
  draw(turn);
}

function draw(turn) {
  timeline.show((turn?.answers ?? []).map(one => ({ letter: one.asked.letter, system: one.asked.system, routing: one.routing })));
}

function compare(turn) {
  const [first, second] = turn.answers;
  if (first.state !== "ended" || second?.state !== "ended" || !first.routing?.tokens || !second.routing?.tokens) return;
  const same = first.meant === second.meant ? "Both answer the same." : "They answer differently.";
  turn.verdict.textContent = `${same} A was fed ${count(first.routing.tokens)} visual tokens, B ${count(second.routing.tokens)}.`;
}

function fitSecond() {
  const on = find("second").checked;
  settings[1].element.hidden = !on;
  find("together-label").hidden = !on;
}

find("ask").addEventListener("submit", event => { event.preventDefault(); ask(); });
find("question").addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask();
});
find("examples").addEventListener("change", event => {
  example = offered[event.target.value];
  find("question").value = example.question;
  find("options").value = (example.options ?? []).join("\n");
  find("choices").open = Boolean(example.options?.length);
});
find("stop").addEventListener("click", stop);
find("second").addEventListener("change", () => { if (settings.length) fitSecond(); });
find("key-form").addEventListener("submit", event => {
  event.preventDefault();
  client.setKey(find("key").value.trim());
  find("key").value = "";
  find("key-form").hidden = true;
  if (!model) start();
});
// The video stays in sight beside the answers; where it is taller than the window, its end does.
new ResizeObserver(() => {
  const first = find("watch").parentElement, free = innerHeight - first.offsetHeight;
  first.style.setProperty("--top", `${Math.min(16, free)}px`);
}).observe(find("watch"));
client.onKeyWanted(had => {
  client.setKey("");
  find("key-form").hidden = false;
  find("key-told").textContent = had ? "The key was refused: enter another one." : "It stays in this tab and goes to this server alone.";
  find("key").focus();
});
start();
