// What each system made of the video's frames, over its seconds: relevance, tokens, the frames that stand out, and a playhead.

import { badge, clock, count, find, make } from "./elements.js";

const THUMBNAILS = 8;

export class Timeline {
  // `go(second)` moves the player; `picture(routing, place)` resolves to the address of frame `place`.
  constructor(go, picture) {
    Object.assign(this, { go, picture, tracks: [], duration: 1, at: 0, place: null, held: 0, glanced: null });
    this.slider = find("slider");
    this.slider.addEventListener("keydown", event => this.#key(event));
    this.slider.addEventListener("pointerdown", event => {
      if (event.button) return;
      this.slider.setPointerCapture(event.pointerId);
      this.#point(event);
    });
    this.slider.addEventListener("pointermove", event => {
      if (this.slider.hasPointerCapture(event.pointerId)) this.#point(event);
      else this.#read(this.#nearest(this.#second(event)));
    });
    this.slider.addEventListener("pointerleave", () => this.#read(this.#nearest(this.at)));
  }

  // `tracks`: {letter, system, routing} of each system that routed the question about a video.
  show(tracks) {
    this.tracks = tracks.filter(track => track.routing?.frames?.length);
    find("timeline").hidden = !this.tracks.length;
    if (!this.tracks.length) return;
    this.duration = Math.max(...this.tracks.map(({ routing }) => Math.max(routing.video.duration, routing.frames.at(-1).second)), 0.1);
    const most = Math.max(...this.tracks.map(({ routing }) => whole(routing)), 1);
    find("lanes").replaceChildren(...this.tracks.flatMap(track => this.#lanes(track, most)));
    find("axis").replaceChildren(...[0, 1, 2, 3, 4].map(quarter => make("span", {}, clock(this.duration * quarter / 4))));
    find("films").replaceChildren(...this.tracks.map(track => this.#film(track)));
    this.slider.setAttribute("aria-valuemax", this.frames.length);
    this.place = this.glanced = null;
    this.held = Math.min(this.held, this.frames.length - 1);
    this.move(this.at);
  }

  get frames() { return this.tracks[0]?.routing.frames ?? []; }

  // The player is at `second` now.
  move(second) {
    this.at = second;
    if (!this.frames.length) return;
    this.slider.style.setProperty("--at", `${100 * Math.min(1, second / this.duration)}%`);
    const place = this.#nearest(second);
    if (place === this.place) return;
    this.place = place;
    this.slider.setAttribute("aria-valuenow", place + 1);
    this.slider.setAttribute("aria-valuetext", `${clock(this.frames[place].second)}, frame ${place + 1} of ${this.frames.length}. ${this.tracks.map(track => this.#told(track, place)).join(". ")}`);
    for (const one of find("films").querySelectorAll("button")) one.setAttribute("aria-current", Number(one.dataset.place) === place);
    if (!this.slider.matches(":hover")) this.#read(place);
  }

  #lanes({ letter, system, routing }, most) {
    const { frames } = routing, scores = frames.map(frame => frame.score), scored = scores.every(score => score !== null);
    const spans = frames.map((_, place) => this.#stretch(frames, place)), { places, picked } = chosen(routing);
    const bands = () => (picked ? places.map(place => block("picked", spans[place])) : []);
    const said = make("p", { class: "said" }, badge(letter), " ", make("b", {}, system), routing.policy ? ` · ${routing.policy} policy` : "");
    const given = frames.map((frame, place) => block("given", spans[place], frame.tokens / most));
    const lanes = [make("h4", {}, scored ? "relevance to the question, 0 to 1" : "relevance: no frame was scored for this")];
    if (scored) lanes.push(make("div", { class: "lane" }, ...bands(), curve(spans, scores)));
    lanes.push(make("h4", {}, `tokens given to each frame, of ${count(whole(routing))}`), make("div", { class: "lane thin" }, ...bands(), ...given));
    return [said, ...lanes];
  }

  #film(track) {
    const { places, said } = chosen(track.routing), list = make("ul", { class: "film", "aria-label": `System ${track.letter}: ${said}` });
    for (const place of places) {
      const frame = track.routing.frames[place], image = make("img", { alt: "", width: 64, height: 64 });
      this.#load(image, track.routing, place);
      const told = `Go to ${clock(frame.second)}: ${this.#told(track, place)}`;
      const button = make("button", { type: "button", "aria-label": told, title: told, "data-place": place }, image, make("span", {}, clock(frame.second)));
      button.addEventListener("click", () => this.#step(place));
      list.append(make("li", {}, button));
    }
    return make("div", { class: "strip" }, make("h4", {}, badge(track.letter), " ", said), list);
  }

  #told({ letter, routing }, place) {
    const frame = routing.frames[place];
    if (!frame) return `${letter}: not sampled`;
    return `${letter}: ${frame.score === null ? "" : `relevance ${frame.score.toFixed(2)}, `}${tokensOf(frame.tokens)}`;
  }

  // The stretch of the video that a sampled frame stands for, halfway to its neighbours, in percent.
  #stretch(frames, place) {
    const middle = (a, b) => (frames[a].second + frames[b].second) / 2;
    const start = place > 0 ? middle(place - 1, place) : 0;
    const end = place + 1 < frames.length ? middle(place, place + 1) : this.duration;
    return [100 * start / this.duration, 100 * Math.max(start, end) / this.duration];
  }

  #read(place) {
    if (place === this.glanced || !this.frames[place]) return;
    this.glanced = place;
    const frame = this.frames[place], told = this.tracks.map(track => this.#told(track, place));
    find("reading").replaceChildren(make("b", {}, clock(frame.second)), ` frame ${place + 1} of ${this.frames.length}`, ...told.map(one => make("span", {}, one)));
    this.#load(find("glance"), this.tracks[0].routing, place);
  }

  // What is asked for last is shown, whatever arrives last; a frame that is no longer kept is an empty box.
  async #load(image, routing, place) {
    const wanted = `${routing.video.sha256}/${place}`;
    image.dataset.wanted = wanted;
    image.onerror = () => image.removeAttribute("src");
    const found = await this.picture(routing, place).catch(() => null);
    if (image.dataset.wanted !== wanted) return;
    if (found) image.src = found;
    else image.removeAttribute("src");
  }

  // A short video shows one second in several sampled frames: of those, the one that was gone to.
  #nearest(second) {
    let best = this.held;
    for (const [place, frame] of this.frames.entries()) if (Math.abs(frame.second - second) < Math.abs(this.frames[best].second - second)) best = place;
    return best;
  }

  #second(event) {
    const box = this.slider.getBoundingClientRect();
    return this.duration * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  }

  #point(event) { this.#step(this.#nearest(this.#second(event))); }

  #step(place) {
    const within = Math.min(this.frames.length - 1, Math.max(0, place));
    this.held = within;
    this.go(this.frames[within].second);
    this.#read(within);
  }

  #key(event) {
    const place = this.#nearest(this.at), steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 8, PageDown: -8 };
    const to = { Home: 0, End: this.frames.length - 1 }[event.key] ?? (event.key in steps ? place + steps[event.key] : null);
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#step(to);
  }
}

// Tokens of a frame in full.
const tokensOf = number => `${count(number)} ${number === 1 ? "token" : "tokens"}`;
const whole = routing => Math.round(routing.dense_tokens / routing.frames.length);

// The frames that stand out: those given the most tokens, the most relevant first where there are many. Where all are given
// equally many, none does, and frames at equal distances give an overview.
export function chosen(routing) {
  const { frames } = routing, places = frames.map((_, place) => place), tokens = frames.map(frame => frame.tokens);
  const most = Math.max(...tokens);
  if (Math.min(...tokens) === most) {
    const shown = Math.min(THUMBNAILS, frames.length), step = frames.length / shown;
    return { places: places.slice(0, shown).map(one => Math.floor((one + 0.5) * step)), picked: false, said: `all ${frames.length} frames were given ${tokensOf(most)}${step > 1 ? `: ${THUMBNAILS} of them, evenly` : ""}` };
  }
  const full = places.filter(place => tokens[place] === most);
  const ranked = full.toSorted((a, b) => (frames[b].score ?? 0) - (frames[a].score ?? 0) || a - b).slice(0, THUMBNAILS);
  const said = full.length > ranked.length ? `the ${ranked.length} most relevant of ${full.length} frames that were given the most tokens (${most})` : `frames that were given the most tokens (${most})`;
  return { places: ranked.sort((a, b) => a - b), picked: true, said };
}

function block(name, [start, end], height = null) {
  return make("i", { class: name, "--left": `${start.toFixed(3)}%`, "--wide": `${(end - start).toFixed(3)}%`, "--high": height === null ? null : `${(100 * height).toFixed(1)}%` });
}

function curve(spans, scores) {
  const drawn = find("curve-template").content.firstElementChild.cloneNode(true);
  const points = scores.map((score, place) => `${(5 * (spans[place][0] + spans[place][1])).toFixed(1)},${(100 - 100 * score).toFixed(1)}`);
  drawn.querySelector(".line").setAttribute("d", `M${points.join("L")}`);
  drawn.querySelector(".area").setAttribute("d", `M${points[0].split(",")[0]},100L${points.join("L")}V100Z`);
  return drawn;
}
