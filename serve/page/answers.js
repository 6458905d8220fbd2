// One system's answer to one question: its text as it streams, how the question was routed, where the time went.

import { badge, count, make, percent, spent } from "./elements.js";

const STAGES = ["queue", "decode", "vision", "route", "prompt", "prefill", "generate"];
const POLICIES = {
  fragment: "some frames matter: they get the tokens, the others few",
  global: "the whole video matters: every frame gets equally many",
};

export class Answer {
  // `asked`: {letter, system, options, right}, the last two null where they are not known.
  constructor(asked) {
    Object.assign(this, { asked, text: "", routing: null, state: "waiting", started: performance.now(), firstWord: null, ended: null });
    this.said = make("p", { class: "answer waiting", "aria-live": "polite", "aria-busy": "true" }, "waiting…");
    this.read = make("p", { class: "option" });
    this.trouble = make("div", { role: "alert" });
    this.facts = make("div", { class: "details" });
    this.element = make("section", { class: "card", "aria-label": `System ${asked.letter}, ${asked.system}` }, make("h4", { class: "who" }, badge(asked.letter), " ", asked.system), make("div", { class: "heard" }, this.said, this.read), this.trouble, this.facts);
  }

  hear(delta) {
    if (!delta) return;
    this.firstWord ??= (performance.now() - this.started) / 1000;
    this.text += delta;
    this.said.classList.remove("waiting");
    this.said.textContent = this.text.trimStart();
    this.said.classList.toggle("long", this.text.length > 120);
  }

  route(routing) {
    this.routing = routing;
    if (!this.text) this.said.textContent = "answering…";
    this.#tell();
  }

  end(reason) {
    this.#close("ended");
    if (!this.text.trim()) this.said.textContent = "(the answer is empty)";
    this.said.classList.toggle("waiting", !this.text.trim());
    if (reason === "length") this.trouble.replaceChildren(make("p", { class: "soft" }, "The answer was cut off at its longest length."));
    this.#judge();
    this.#tell();
  }

  stop() {
    this.#close("stopped");
    if (this.text) this.trouble.replaceChildren(make("p", { class: "soft" }, "Stopped before its end."));
    else this.said.textContent = "stopped";
  }

  fail(error) {
    this.#close("failed");
    if (!this.text) this.said.textContent = "no answer";
    this.trouble.replaceChildren(make("p", { class: "trouble" }, make("b", {}, error.status ? `Refused (${error.status}): ` : "It failed: "), error.message), error.advice ? make("p", { class: "advice" }, error.advice) : null);
  }

  // The option that the answer names, or the answer itself, for comparing.
  get meant() { return plain(this.chosen ?? this.text); }

  get seconds() { return this.routing?.seconds ? stages(this.routing.seconds).reduce((sum, [, seconds]) => sum + seconds, 0) : 0; }

  // Bars of answers side by side have one scale.
  scale(most) { this.facts.querySelector(".bar")?.style.setProperty("--wide", `${100 * Math.min(1, this.seconds / (most || 1))}%`); }

  #close(state) {
    this.state = state;
    this.ended = (performance.now() - this.started) / 1000;
    this.said.setAttribute("aria-busy", "false");
  }

  #judge() {
    const { options, right } = this.asked;
    this.chosen = optionOf(this.text, options);
    if (this.chosen && plain(this.chosen) !== plain(this.text)) this.read.append(make("span", {}, this.chosen), " ");
    if (right === null || !this.text.trim()) return;
    const good = this.meant === plain(right);
    this.read.append(make("span", { class: good ? "verdict right" : "verdict wrong" }, good ? "✓ right" : `✗ right would be ${right}`));
  }

  #tell() {
    const { routing } = this;
    if (!routing) return;
    const parts = routing.passed_through ? [make("p", { class: "soft" }, `Not routed: ${routing.passed_through}.`)] : [policy(routing, this.asked.policy), tokens(routing), sent(routing)];
    this.facts.replaceChildren(...[...parts, this.state === "ended" ? times(this) : null, kept(routing)].filter(part => part !== null));
  }
}

function row(name, value, share = null, mark = null) {
  const meter = share === null ? null : make("span", { class: "meter", "aria-hidden": "true" }, make("i", { "--wide": `${100 * Math.min(1, share)}%` }), mark === null ? null : make("b", { "--left": `${100 * Math.min(1, mark)}%` }));
  return make("div", { class: "fact" }, make("h5", {}, name), make("p", {}, ...value.filter(one => one !== null)), meter);
}

function policy({ policy: name, policy_probability: probability }, wanted) {
  if (!name) return row("policy", ["none: this system knows no policies"]);
  const said = probability === null ? null : percent(Math.min(probability, 0.9999));  // no softmax is sure, four digits only look so
  const sure = [make("b", {}, name), wanted ? ", as asked for" : "", said === null ? "" : wanted ? `; the router: ${said}` : `, probability ${said}`];
  return make("div", {}, row("policy", sure, probability), POLICIES[name] ? make("p", { class: "soft" }, POLICIES[name]) : null);
}

function tokens({ tokens: fed, dense_tokens: dense, budget }) {
  const spared = fed < dense ? make("b", { class: "spared" }, `${percent(1 - fed / dense)} spared`) : "none spared", bound = budget && fed <= budget && budget < dense;
  return row("visual tokens", [make("b", {}, count(fed)), ` of ${count(dense)} · `, spared, bound ? make("small", {}, `at most ${count(budget)} allowed (the tick)`) : ""], fed / dense, bound ? budget / dense : null);
}

function sent({ sent: told }) {
  if (!told) return null;
  return row("sent there", [make("b", {}, `${count(told.pictures)} ${told.pictures === 1 ? "picture" : "pictures"}`), ` for ${count(told.tokens)} of its tokens, ${count(told.dense_tokens)} for all frames`], told.tokens / told.dense_tokens);
}

function times(answer) {
  // A stage that was not run, as decoding is not for a kept video, is told and not drawn.
  const known = stages(answer.routing.seconds ?? {}), sum = answer.seconds, words = known.map(([name, seconds]) => `${name} ${spent(seconds)}`);
  const bar = make("div", { class: "bar", role: "img", "aria-label": `Seconds by stage: ${words.join(", ")}` }, ...known.filter(([, seconds]) => seconds > 0).map(([name, seconds]) => make("i", { class: `stage ${name}`, title: `${name}: ${spent(seconds)}`, "--share": sum ? 100 * seconds / sum : 1 })));
  const legend = make("ul", { class: "legend", "aria-hidden": "true" }, ...known.map(([name, seconds]) => make("li", {}, make("i", { class: `stage ${name}` }), `${name} `, make("b", {}, spent(seconds)))));
  const heard = answer.firstWord === null ? null : make("small", {}, `first word on this page after ${spent(answer.firstWord)}`);
  return make("div", {}, row("time in the server", [make("b", {}, spent(sum)), heard]), bar, legend);
}

function kept({ video }) {
  if (!video) return null;
  return make("p", { class: "soft" }, video.cached ? "The video came from the cache: its frames were not decoded again." : "The video was decoded for this question; the next one about it finds it in the cache.");
}

// Ours in order, then any that are not known here; a total is no stage.
function stages(seconds) {
  const names = [...STAGES.filter(name => name in seconds), ...Object.keys(seconds).filter(name => !STAGES.includes(name) && name !== "total")];
  return names.map(name => [name, seconds[name]]);
}

const plain = text => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

function optionOf(text, options) {
  if (!options) return null;
  const letter = /^\s*\(?([A-Z])(?:[).:\s]|$)/.exec(text);
  return options.find(option => plain(option) === plain(text)) ?? (letter && options[letter[1].charCodeAt(0) - 65]) ?? null;
}
