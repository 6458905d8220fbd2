// The video: chosen from the server's, opened or dropped; its player, or stills where the browser cannot play it.

import * as client from "./client.js";
import { clock, find, make, size } from "./elements.js";

const STILLS = "This browser cannot play this file: you see the frames that the server sampled.";

export class Watch {
  // `changed` hears of every video that is chosen.
  constructor(changed) {
    Object.assign(this, { changed, video: null, listed: [], at: 0, onMove: () => {}, still: () => Promise.reject() });
    this.player = find("player");
    find("file").addEventListener("change", event => { this.open(event.target.files); event.target.value = ""; });
    find("listed").addEventListener("change", event => this.choose(this.listed[event.target.value]));
    for (const event of ["timeupdate", "seeking", "seeked"]) this.player.addEventListener(event, () => this.#moved(this.player.currentTime));
    this.player.addEventListener("play", () => this.#follow());
    this.player.addEventListener("loadedmetadata", () => this.#tell());
    this.player.addEventListener("error", () => { if (this.player.src && this.video) this.#unplayable(); });
    this.#takeDrops();
  }

  // The server's own videos.
  list(videos) {
    this.listed = videos.map(one => ({ ...one, kept: false }));
    const select = find("listed");
    select.replaceChildren(make("option", { value: "", disabled: true, selected: true }, "One of the server’s…"), ...videos.map((one, place) => make("option", { value: place }, one.name)));
    select.hidden = !videos.length;
    find("empty-more").textContent = videos.length ? ", open a file, or take one of the server’s" : ", or open a file";
    const chosen = this.listed.findIndex(one => one.name === this.video?.name && !this.video.file);
    if (chosen >= 0) select.value = chosen;
  }

  open(files) {
    const [file] = files;
    if (file) this.choose({ name: file.name, size: file.size, file, kept: false });
  }

  async choose(video) {
    this.video = video;
    this.at = 0;
    const place = this.listed.indexOf(video);
    find("listed").value = place >= 0 ? place : "";
    find("empty").hidden = true;
    find("still").hidden = true;
    find("still").removeAttribute("src");
    this.player.hidden = false;
    this.player.removeAttribute("src");
    video.playable = true;
    video.trouble = null;
    this.#tell();
    this.changed(video);
    if (video.file) this.#upload(video).catch(() => {});
    try {
      video.source ??= video.file ? URL.createObjectURL(video.file) : await client.address(`videos/${video.name.split("/").map(encodeURIComponent).join("/")}`);
    } catch (error) {
      this.#fail(video, error);
    }
    if (this.video === video && video.source) this.player.src = video.source;
  }

  // What the server knows the chosen video by; one that it forgot is sent `anew`.
  async address(video, anew = false) {
    if (!video.file) return video.url;
    if (anew) video.sending = null;
    return this.#upload(video);
  }

  // The server has it in memory.
  keep(video) {
    video.kept = true;
    this.#tell();
    if (!video.playable) this.go(this.at);
  }

  go(second) {
    if (this.video?.playable && this.player.readyState > 0) this.player.currentTime = Math.min(second, this.player.duration || second);
    this.#moved(second);
  }

  #upload(video) {
    if (video.sending) return video.sending;
    const sending = client.upload(video.file, share => { video.share = share; this.#tell(); });
    video.sending = sending;
    video.share = 0;
    sending.then(() => { video.share = null; video.trouble = null; this.#tell(); }, error => { video.sending = null; video.share = null; this.#fail(video, error); });
    return sending;
  }

  #fail(video, error) {
    video.trouble = error;
    this.#tell();
  }

  #tell() {
    const { video, player } = this;
    if (!video) return;
    const parts = [video.name];
    if (video.playable && player.duration && player.src) parts.push(clock(player.duration));
    if (video.playable && player.videoWidth && player.src) parts.push(`${player.videoWidth} × ${player.videoHeight}`);
    if (video.size) parts.push(size(video.size));
    if (video.share !== null && video.share !== undefined) parts.push(`uploading, ${Math.round(100 * video.share)} %`);
    if (video.kept) parts.push("in the server’s memory");
    find("facts").replaceChildren(...parts.map(part => make("span", {}, part)), video.trouble ? make("span", { class: "trouble", role: "alert" }, client.sentence(video.trouble)) : video.playable || !find("still").src ? "" : make("span", { class: "note" }, STILLS));
    find("unplayable").hidden = video.playable || Boolean(find("still").src);
    find("screen").classList.toggle("none", !find("unplayable").hidden);
  }

  #unplayable() {
    this.video.playable = false;
    this.player.hidden = true;
    this.#tell();
    this.#moved(this.at);
  }

  async #moved(second) {
    this.at = second;
    this.onMove(second);
    const { video } = this;
    if (!video || video.playable) return;
    const found = await this.still().catch(() => null);
    if (this.video !== video || this.at !== second || !found) return;
    find("still").src = found;
    find("still").hidden = false;
    this.#tell();
  }

  // `timeupdate` comes four times a second; the playhead moves with the picture.
  #follow() {
    if (this.player.paused || this.player.ended) return;
    this.#moved(this.player.currentTime);
    requestAnimationFrame(() => this.#follow());
  }

  #takeDrops() {
    const veil = find("drop"), holds = event => event.dataTransfer?.types.includes("Files");
    const shown = on => { veil.hidden = !on; };
    addEventListener("dragenter", event => { if (holds(event)) shown(true); });
    addEventListener("dragover", event => { if (holds(event)) event.preventDefault(); });
    addEventListener("dragleave", event => { if (!event.relatedTarget) shown(false); });
    addEventListener("drop", event => {
      if (!holds(event)) return;
      event.preventDefault();
      shown(false);
      this.open(event.dataTransfer.files);
    });
  }
}
