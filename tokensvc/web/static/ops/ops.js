// The operator's page: asks the service again and again while the page is visible.

import { dataOf, Refused } from "./data.js";
import { byId, setText } from "./dom.js";
import { RegionSection } from "./region.js";
import { Sections } from "./sections.js";
import { age, ServiceClock } from "./times.js";

/** @typedef {import("./data.js").Answer} Answer */

const PAUSE_SECONDS = 5;
const LONGEST_PAUSE_SECONDS = 60;
const MESSAGES = /** @type {Record<string, string>} */ ({
  unauthenticated: "This API key is not valid.",
  not_permitted: "This API key does not have the scope operate.",
  not_found: "The page is off: service.ops_page is not set.",
});

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const clock = new ServiceClock();
const sections = new Sections();
/** @type {Map<string, RegionSection>} */
const regions = new Map();
const form = byId("sign-in", HTMLFormElement);
const field = byId("key", HTMLInputElement);
const refusal = byId("refusal", HTMLElement);
const content = byId("content", HTMLElement);
const status = byId("status", HTMLElement);

let key = ""; // Nowhere else: not in a cookie, not in a storage, not in an address.
let failures = 0;
let askedAt = 0;
let answeredAt = 0;
/** @type {number | undefined} */
let timer;
let isAsking = false;

/** Ask now, show the answer, and ask again later. */
async function ask() {
  clearTimeout(timer);
  if (isAsking || key === "" || document.hidden) return;
  const early = askedAt + PAUSE_SECONDS * 1_000 - performance.now();
  if (early > 0 && !content.hidden) {
    timer = setTimeout(ask, early);
    return;
  }
  isAsking = true;
  askedAt = performance.now();
  const asked = key;
  try {
    const answer = await dataOf(asked);
    if (asked === key) show(answer);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (asked === key) refuse(error);
  } finally {
    isAsking = false;
  }
  if (asked !== key) await ask(); // Another key was entered meanwhile.
}

/** @param {Answer} answer */
function show(answer) {
  const isFirst = content.hidden;
  failures = 0;
  answeredAt = performance.now();
  clock.set(answer.at);
  form.hidden = true;
  content.hidden = false;
  const process = `Process ${answer.process_id}, one of ${answer.processes}`;
  setText(byId("process", HTMLElement), `${process}. tokensvc ${answer.version}`);
  setText(status, `The page is updated every ${PAUSE_SECONDS} s.`);
  status.classList.remove("bad");
  sections.show(answer);
  for (const region of answer.regions) {
    const section = regions.get(region.region) ?? new RegionSection(region);
    if (!regions.has(region.region)) byId("regions", HTMLElement).append(section.element);
    regions.set(region.region, section);
    section.update(region, clock.now());
  }
  if (isFirst) byId("main", HTMLElement).focus({ preventScroll: true });
  tick();
  timer = setTimeout(ask, PAUSE_SECONDS * 1_000);
}

/** @param {Refused} error */
function refuse(error) {
  const text = MESSAGES[error.code] ?? `${error.message} ${error.hint}`.trim();
  if (error.isOfKey || content.hidden) {
    signOut(text);
    return;
  }
  failures += 1;
  const pause = Math.min(PAUSE_SECONDS * 2 ** failures, LONGEST_PAUSE_SECONDS);
  setText(status, `${text} The page shows older data.`);
  status.classList.add("bad");
  timer = setTimeout(ask, Math.max(pause, error.retryAfterSeconds) * 1_000);
}

/** Forget the key and everything that was shown. @param {string} why */
function signOut(why) {
  clearTimeout(timer);
  key = "";
  failures = 0;
  for (const section of regions.values()) section.element.remove();
  regions.clear();
  sections.forget();
  content.hidden = true;
  form.hidden = false;
  setText(byId("process", HTMLElement), "");
  setText(refusal, why);
  field.setAttribute("aria-invalid", String(why !== ""));
  field.focus();
}

/** Show the times that pass. */
function tick() {
  if (content.hidden || document.hidden) return;
  for (const section of regions.values()) section.tick(clock.now());
  const seconds = Math.floor((performance.now() - answeredAt) / 1_000);
  setText(byId("age", HTMLElement), `Data from ${age(seconds)} ago. Time zone: ${ZONE}.`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  setText(refusal, "");
  key = field.value.trim();
  field.value = "";
  ask();
});
byId("sign-out", HTMLButtonElement).addEventListener("click", () => signOut(""));
document.addEventListener("visibilitychange", ask);
addEventListener("resize", tick);
setInterval(tick, 1_000);
field.focus();
