// The section of one region: its next step, the timeline of its key pairs, and their tables.

import { element, setText, Table } from "./dom.js";
import { doing, draw } from "./timeline.js";
import { age, duration, moment } from "./times.js";

/** @typedef {import("./data.js").Region} Region */

const KINDS = /** @type {const} */ ([
  ["pending", "not imported"],
  ["standby", "standby"],
  ["signs", "signs"],
  ["drains", "drains"],
]);
const PAIRS = [
  "Key pair",
  "State",
  "Created",
  "Imported",
  "Signed from",
  "Signed until",
  "Drained at",
];
const RETIRED = ["Key pair", "Signed from", "Signed until", "Deleted", "Private key destroyed"];
const SVG = "http://www.w3.org/2000/svg";

/** A region on the page. It is made once and then updated, so that nothing in it is closed. */
export class RegionSection {
  #step = element("p", { className: "step" });
  #countdown = element("strong", { className: "countdown" });
  #sentence = element("span");
  #why = element("span", { className: "why" });
  #run = element("p", { className: "run" });
  #notes = element("ul", { className: "notes" });
  #drawing = document.createElementNS(SVG, "svg");
  #pairs = new Table("Key pairs", PAIRS);
  #retired = new Table("Retired key pairs", RETIRED);
  #more = element("details", {}, element("summary"), this.#retired.element);
  /** @type {Region} */
  #region;

  /** @param {Region} region */
  constructor(region) {
    this.#region = region;
    const id = `region-${region.region}`;
    const title = document.createElementNS(SVG, "title");
    title.id = `${id}-drawing-title`;
    title.textContent =
      `Timeline of the key pairs of ${region.region}. The table of key pairs has the same times.`;
    this.#drawing.id = `${id}-drawing`;
    this.#drawing.setAttribute("role", "img");
    this.#drawing.setAttribute("aria-labelledby", title.id);
    this.#drawing.append(title);
    this.#step.append(this.#sentence, " ", this.#countdown, " ", this.#why);
    const legend = element("ul", { className: "legend" });
    legend.setAttribute("aria-hidden", "true");
    legend.append(...KINDS.map(([kind, name]) => element("li", { className: kind }, name)));
    this.element = element(
      "section",
      { className: "card panel region", id },
      element("h2", { id: `${id}-title` }, `Region ${region.region}`),
      this.#step,
      this.#notes,
      this.#run,
      element("div", { className: "drawing" }),
      legend,
      this.#pairs.element,
      this.#more,
    );
    this.element.setAttribute("aria-labelledby", `${id}-title`);
    this.element.querySelector(".drawing")?.append(this.#drawing);
  }

  /** @param {Region} region @param {number} now */
  update(region, now) {
    this.#region = region;
    const retired = region.key_pairs.filter((pair) => pair.state === "retired").reverse();
    this.#retired.fill(
      retired.map((pair) => [
        pair.key_id,
        moment(pair.activated_at, now),
        moment(pair.signing_ended_at, now),
        moment(pair.deleted_at, now),
        moment(pair.destroyed_on, now),
      ]),
    );
    this.#more.hidden = retired.length === 0;
    const summary = this.#more.querySelector("summary");
    if (summary) setText(summary, `Retired key pairs: ${retired.length}`);
    setText(this.#run, runOf(region, now));
    const { reconcile: run } = region;
    this.#run.classList.toggle("bad", run !== null && (run.code !== "" || run.is_overdue));
    const notes = [region.rotation_request, region.rotation_pause].filter(Boolean);
    if (notes.join() !== [...this.#notes.children].map((note) => note.textContent).join())
      this.#notes.replaceChildren(...notes.map((note) => element("li", {}, note)));
    this.tick(now);
  }

  /** Show the time that is left. @param {number} now */
  tick(now) {
    const { key_pairs: pairs, next_step: step } = this.#region;
    const left = step?.at ? (Date.parse(step.at) - now) / 1_000 : 0;
    const isDue = step !== null && left <= 0;
    setText(this.#sentence, sentenceOf(this.#region));
    setText(this.#countdown, step === null ? "" : isDue ? "due now" : `in ${duration(left)}`);
    this.#countdown.classList.toggle("due", isDue);
    setText(this.#why, whyOf(this.#region, isDue, now));
    this.#pairs.fill(
      pairs
        .filter((pair) => pair.state !== "retired")
        .map((pair) => [
          pair.key_id,
          doing(pair, now),
          moment(pair.created_at, now),
          moment(pair.published_at, now),
          moment(pair.activated_at, now),
          moment(pair.signing_ended_at, now),
          moment(pair.drained_at, now),
        ]),
    );
    const width = this.#drawing.parentElement?.clientWidth ?? 0;
    if (width > 0) draw(this.#drawing, pairs, now, width);
  }
}

/** @param {Region} region */
function sentenceOf({ key_pairs: pairs, next_step: step }) {
  if (step !== null) return `Next step: ${step.sentence}`;
  if (pairs.length === 0) return "This process knows no key pairs of this region.";
  return "No step is due. A rotation begins when an operator or a schedule requests it.";
}

/** @param {Region} region @param {boolean} isDue @param {number} now */
function whyOf({ next_step: step }, isDue, now) {
  if (step === null) return "";
  if (isDue) return "The next run of tokensvc keys reconcile does it.";
  return `At ${moment(step.at, now)}. ${step.why}`;
}

/** @param {Region} region @param {number} now */
function runOf({ reconcile: run }, now) {
  if (run === null) return "No run of tokensvc keys reconcile is recorded.";
  const ago = (/** @type {string} */ at) =>
    `${age(Math.max(0, Math.floor((now - Date.parse(at)) / 1_000)))} ago`;
  const ended = `${run.code ? `ended with ${run.code}` : "succeeded"} ${ago(run.attempted_at)}`;
  const last = `The last run of tokensvc keys reconcile, by ${run.by}, ${ended}.`;
  if (!run.code && !run.is_overdue) return last;
  const success = run.succeeded_at === null ? "never" : ago(run.succeeded_at);
  const overdue = run.is_overdue ? " Runs are overdue: no rotation goes on." : "";
  return `${last} Last success: ${success}.${overdue} Run tokensvc keys doctor.`;
}
