// What one system is asked with: its name, policy, budget, and how many frames are sampled.

import { find, make } from "./elements.js";

const ROUTED = "videorouter";

export class Settings {
  // `told` is what the server says of its model. Only the first system's frames are asked for: two systems see the same ones.
  constructor(letter, told, system) {
    const fields = find("system-template").content.firstElementChild.cloneNode(true);
    Object.assign(this, { letter, element: fields });
    const mark = fields.querySelector(".badge");
    mark.textContent = letter;
    mark.classList.add(letter.toLowerCase());
    this.system = fields.querySelector("[name=system]");
    this.policy = fields.querySelector("[name=policy]");
    this.budget = fields.querySelector("[name=budget]");
    this.frames = fields.querySelector("[name=frames]");
    this.system.append(...told.systems.map(name => make("option", {}, name)));
    if (told.systems.includes(system)) this.system.value = system;
    this.budget.placeholder = told.budget ?? "its own";
    this.frames.placeholder = told.frames ?? "its own";
    if (letter !== "A") this.frames.closest("label").remove();
    this.system.addEventListener("change", () => this.#fit());
    this.#fit();
  }

  // The extension of the request; null for what is left to the server.
  read() {
    const number = input => (input.value === "" ? null : Number(input.value));
    return { system: this.system.value, policy: this.policy.disabled ? null : this.policy.value || null, budget: this.budget.disabled ? null : number(this.budget), frames: number(this.frames) };
  }

  // A policy is chosen for routed systems alone, and dense has no budget.
  #fit() {
    this.policy.disabled = !this.system.value.endsWith(ROUTED);
    this.budget.disabled = this.system.value === "dense";
  }
}
