"use strict";
// Questions one by one. All text goes in as text nodes: what people and models wrote is never markup.
const { questions, pictures } = JSON.parse(document.getElementById("data").textContent);
const shown = document.getElementById("shown"), pick = document.getElementById("pick");
let at = 0, system = null;

function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(key, value);
  made.append(...inside.filter(one => one !== null));
  return made;
}

const clock = s => s >= 60 ? `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}` : `${Math.round(10 * s) / 10} s`;

function track(title, said, lane) {
  return make("div", { class: "track" }, make("h4", {}, title), make("div", { class: "lane" + (lane.thin ? " thin" : ""), role: "img", "aria-label": said }, ...lane.inside));
}

function block(name, start, end, of, height = null, title = null) {
  const left = 100 * Math.max(0, start / of), width = Math.max(0, 100 * Math.min(1, end / of) - left);
  return make("i", { class: name, title, style: `left:${left.toFixed(3)}%;width:${width.toFixed(3)}%` + (height === null ? "" : `;height:${(100 * height).toFixed(1)}%`) });
}

// The stretch of the video that a sampled frame stands for: halfway to its neighbours.
function stretch(seconds, frame, of) {
  const middle = (a, b) => (seconds[a] + seconds[b]) / 2;
  return [frame > 0 ? middle(frame - 1, frame) : 0, frame + 1 < seconds.length ? middle(frame, frame + 1) : of];
}

function film(question) {
  const strip = question.strip && pictures[question.strip];
  if (!strip) return make("p", { class: "missing" }, question.why);
  return make("div", { class: "film" }, ...strip.map(([second, source]) => make("figure", {}, make("img", { src: source, alt: `frame at ${clock(second)}` }), make("figcaption", {}, clock(second)))));
}

function evidenceLane(question, of) {
  const spans = question.evidence.map(([start, end, kind]) => block(kind, start, end, of, null, `${kind} evidence ${clock(start)} to ${clock(end)}`));
  const moments = question.moments.map(second => block("moment", second, second, of, null, `marked frame at ${clock(second)}`));
  if (!spans.length && !moments.length) return make("p", { class: "soft" }, "No evidence is known for this question.");
  const words = [...question.evidence.map(([start, end, kind]) => `${kind} ${clock(start)} to ${clock(end)}`), ...question.moments.map(second => `frame at ${clock(second)}`)].join("; ");
  return track(`evidence: ${words}`, `Evidence: ${words}`, { thin: true, inside: [...spans, ...moments] });
}

const shadows = (question, of) => question.evidence.map(([start, end]) => block("shadow", start, end, of));

// The chosen system's own scores, or else those of a router in the same table.
function relevanceLane(question, chosen, of) {
  const scored = other => !other.failed && other.relevance.length && other.seconds.length;
  const answer = scored(chosen) ? chosen : question.answers.find(other => scored(other) && other.cell === chosen.cell);
  if (!answer) return make("p", { class: "soft" }, "No system in this table scored frames.");
  const last = n => Math.min(answer.seconds.length, (n + 1) * answer.patch) - 1;
  const bars = answer.relevance.map((score, n) => block("score", stretch(answer.seconds, n * answer.patch, of)[0], stretch(answer.seconds, last(n), of)[1], of, score, `frame ${n}, ${clock(answer.seconds[n * answer.patch])}: relevance ${score}`));
  const best = answer.relevance.indexOf(Math.max(...answer.relevance));
  return track(`relevance by frame, 0 to 1, as ${answer.system} scored it`, `Relevance of ${answer.relevance.length} frames, highest ${answer.relevance[best]} at ${clock(answer.seconds[best * answer.patch])}`, { inside: [...shadows(question, of), ...bars] });
}

function tokensLane(question, answer, of) {
  if (!answer.seconds.length || answer.kept.some(([, second]) => second === null)) return make("p", { class: "soft" }, `${answer.system}: ${answer.tokens} tokens; the run does not say when its frames are shown.`);
  const most = Math.max(...answer.kept.map(([, , tokens]) => tokens));
  const inside = second => question.evidence.some(([start, end]) => start <= second && second < end);
  const spent = answer.kept.reduce((sum, [, second, tokens]) => sum + (inside(second) ? tokens : 0), 0);
  const bars = answer.kept.map(([frame, second, tokens]) => {
    const first = frame * answer.patch, last = Math.min(answer.seconds.length, first + answer.patch) - 1;
    return block("given", stretch(answer.seconds, first, of)[0], stretch(answer.seconds, last, of)[1], of, tokens / most, `frame ${frame}, ${clock(second)}: ${tokens} tokens`);
  });
  const share = question.evidence.length ? `; ${Math.round(100 * spent / answer.tokens)} % of them on evidence` : "";
  const title = `tokens by frame for ${answer.system}, ${answer.cell}: ${answer.tokens.toLocaleString("en")} on ${answer.kept.length} of ${answer.sampled} frames, at most ${most}${share}`;
  return track(title, title, { inside: [...shadows(question, of), ...bars] });
}

function answersTable(question, chosen) {
  const rows = question.answers.map((answer, number) => {
    const name = `${answer.system}, ${answer.cell}`;
    if (answer.failed) return make("tr", {}, make("th", { scope: "row" }, make("button", { type: "button", disabled: "" }, name)), make("td", { class: "verdict wrong" }, "✗ failed"), make("td", { class: "said" }, answer.failed));
    const button = make("button", { type: "button", "aria-pressed": String(number === chosen), "data-answer": number }, name);
    button.addEventListener("click", () => { system = name; draw(); shown.querySelector(`[data-answer="${number}"]`).focus({ preventScroll: true }); });
    const option = question.options.find(([letter]) => letter === answer.choice);
    const said = (option ? option.join(". ") : `no option in: ${answer.text}`) + (answer.policy ? ` · policy ${answer.policy}` : "") + ` · ${answer.tokens.toLocaleString("en")} tokens`;
    return make("tr", { class: number === chosen ? "on" : null }, make("th", { scope: "row" }, button), make("td", { class: "verdict " + (answer.right ? "right" : "wrong") }, answer.right ? "✓ right" : "✗ wrong"), make("td", { class: "said" }, said));
  });
  return make("table", { class: "answers" }, make("caption", { class: "hidden" }, "Answers"), make("thead", {}, make("tr", {}, ...["system", "verdict", "answer"].map(name => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows));
}

function draw() {
  const question = questions[at];
  const given = question.answers.findIndex(answer => !answer.failed && `${answer.system}, ${answer.cell}` === system);
  const chosen = given >= 0 ? given : Math.max(question.answers.findIndex(answer => !answer.failed && answer.relevance.length), 0);
  const answer = question.answers[chosen];
  const of = question.duration || (answer && answer.seconds && answer.seconds.at(-1)) || 1;
  pick.value = String(at);
  shown.replaceChildren(
    make("h3", {}, question.question),
    make("ul", { class: "options", "aria-label": "Options" }, ...question.options.map(([letter, text]) => make("li", { class: letter === question.answer ? "answer" : null }, `${letter}. ${text}${letter === question.answer ? " ✓ correct" : ""}`))),
    make("ul", { class: "tags", "aria-label": "About" }, ...[question.benchmark, question.video, question.id, ...question.groups.map(([name, value]) => `${name}: ${value}`)].map(tag => make("li", {}, tag))),
    film(question), evidenceLane(question, of),
    ...(answer && !answer.failed ? [relevanceLane(question, answer, of), tokensLane(question, answer, of)] : []),
    make("div", { class: "axis", "aria-hidden": "true" }, ...[0, .25, .5, .75, 1].map(share => make("span", {}, clock(share * of)))),
    answersTable(question, chosen),
  );
}

function go(to) { at = (to + questions.length) % questions.length; draw(); }

if (questions.length) {
  questions.forEach((question, number) => pick.append(make("option", { value: number }, `${number + 1}/${questions.length} · ${question.groups.map(([, value]) => value).join(", ")} · ${question.question}`)));
  pick.addEventListener("change", () => go(Number(pick.value)));
  document.getElementById("before").addEventListener("click", () => go(at - 1));
  document.getElementById("after").addEventListener("click", () => go(at + 1));
  document.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("select, input, textarea, .wide")) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") { event.preventDefault(); go(at + (event.key === "ArrowLeft" ? -1 : 1)); }
  });
  draw();
}
