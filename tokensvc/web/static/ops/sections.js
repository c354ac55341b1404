// The sections of the page that are the same for every region.

import { byId, element, setText, Table } from "./dom.js";
import { age, moment } from "./times.js";

/** @typedef {import("./data.js").Answer} Answer */
/** @typedef {import("./data.js").Check} Check */

const MOST_DECISIONS = 20;
const DECISIONS = ["Time", "Decision", "Channel", "Caller", "Grant", "Rule", "Request ID"];
const BANS = ["Made", "Kind", "State", "Channel", "Until", "At Amazon IVS", "By", "ID"];
const STATES = { ready: "ready", note: "ready, with a note", failed: "not ready" };

/** Shows an answer. */
export class Sections {
  #checks = byId("checks", HTMLUListElement);
  #onlyRefusals = byId("only-refusals", HTMLInputElement);
  #refusals = new Table("Refusals by code", ["Code", "Requests"]);
  #latest = new Table("Last decisions", DECISIONS);
  #channels = new Table(
    "Answers of Amazon IVS",
    ["Channel", "Answer", "Age", "Next look-up", "ARN"],
    "nothing is known yet.",
  );
  #bans = new Table("Newest kicks and bans", BANS);
  #views = new Table("Age of what was read", ["What", "Age", "Too old at", "State"]);
  /** @type {Answer | undefined} */
  #shown;

  constructor() {
    for (const [id, table] of Object.entries({
      refusals: this.#refusals,
      latest: this.#latest,
      channels: this.#channels,
      bans: this.#bans,
      views: this.#views,
    }))
      byId(id, HTMLDivElement).append(table.element);
    this.#onlyRefusals.addEventListener("change", () => {
      if (this.#shown) this.#showDecisions(this.#shown);
    });
  }

  /** @param {Answer} answer */
  show(answer) {
    this.#shown = answer;
    const now = Date.parse(answer.at);
    this.#showChecks(answer.checks);
    this.#showDecisions(answer);
    const { channels, bans } = answer;
    setText(byId("cached", HTMLElement), `Channels that this process knows: ${channels.cached}.`);
    this.#channels.fill(
      channels.listed.map((one) => [
        one.names.join(", ") || "–",
        one.answer,
        age(one.age_seconds),
        one.refresh_in_seconds > 0 ? `in ${age(one.refresh_in_seconds)}` : "with the next request",
        one.channel_arn,
      ]),
    );
    const counts = `Active: ${bans.active}. Pending at Amazon IVS: ${bans.pending}.`;
    setText(byId("banned", HTMLElement), `Kicks and bans that are kept: ${bans.kept}. ${counts}`);
    this.#bans.fill(
      bans.latest.map((one) => [
        moment(one.made_at, now),
        one.kind.replace("_", " "),
        one.state,
        one.channel_arn ?? "all channels",
        untilOf(one, now),
        one.is_pending_at_ivs ? "pending" : "confirmed",
        one.made_by,
        one.ban_id,
      ]),
    );
    this.#views.fill(
      answer.views.map((one) => [
        one.name,
        age(one.age_seconds),
        one.max_age_seconds === null ? "–" : age(one.max_age_seconds),
        one.code || "ok",
      ]),
    );
  }

  /** Keep nothing of what was shown. */
  forget() {
    this.#shown = undefined;
    this.#checks.replaceChildren();
    for (const id of ["cached", "banned", "decided"]) setText(byId(id, HTMLElement), "");
    for (const table of [this.#refusals, this.#latest, this.#channels, this.#bans, this.#views])
      table.fill([]);
  }

  /** @param {Check[]} checks */
  #showChecks(checks) {
    const list = this.#checks;
    while (list.children.length > checks.length) list.lastElementChild?.remove();
    while (list.children.length < checks.length)
      list.append(element("li", {}, element("b"), element("span"), element("p")));
    checks.forEach((check, at) => {
      const item = /** @type {HTMLLIElement} */ (list.children[at]);
      const [name, state, notes] = item.children;
      const hasNote = check.code !== "" || check.notes.length > 0;
      const kind = check.ready ? (hasNote ? "note" : "ready") : "failed";
      item.dataset.state = kind;
      if (name) setText(name, check.name);
      if (state) setText(state, STATES[kind]);
      if (notes) setText(notes, [...check.notes, check.code].filter(Boolean).join(" "));
    });
  }

  /** @param {Answer} answer */
  #showDecisions({ at, decisions }) {
    const now = Date.parse(at);
    const refused = decisions.refused.reduce((sum, one) => sum + one.count, 0);
    const counts = `Granted: ${decisions.granted}. Refused: ${refused}.`;
    setText(byId("decided", HTMLElement), `Since ${moment(decisions.since, now)}. ${counts}`);
    this.#refusals.fill(decisions.refused.map((one) => [one.code, String(one.count)]));
    const listed = this.#onlyRefusals.checked
      ? decisions.latest.filter((one) => one.code)
      : decisions.latest;
    this.#latest.fill(
      listed.slice(0, MOST_DECISIONS).map((one) => [
        moment(one.at, now),
        one.code || one.decision,
        one.channel ?? "–",
        one.caller_id ?? "–",
        one.grant ?? "–",
        one.rule ?? "–",
        one.request_id ?? "–",
      ]),
    );
  }
}

/** @param {import("./data.js").Ban} ban @param {number} now */
function untilOf(ban, now) {
  if (ban.kind === "kick") return "–";
  return ban.banned_until === null ? "without end" : moment(ban.banned_until, now);
}
