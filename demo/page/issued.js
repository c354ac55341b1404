// The panels that show a playback URL, its token and how long it is valid.

import { element } from "./dom.js";
import { decode, describe } from "./token.js";

const COPIED_MILLISECONDS = 2000;
const $ = (id) => document.getElementById(id);
let shown = null; // The latest URL.

/** Show the answer of the service. */
export function showIssued(issued) {
  shown = issued;
  const url = new URL(issued.playback_url);
  const { header, payload, segments } = decode(url.searchParams.get("token"));
  $("channel-arn").textContent = issued.channel_arn;
  $("refresh-after").textContent = `${issued.refresh_after_seconds} s`;
  $("key-id").textContent = issued.key_id;
  $("header").replaceChildren(...claims(header));
  $("payload").replaceChildren(...claims(payload));
  $("url").replaceChildren(
    `${url.origin}${url.pathname}?token=`,
    ...segments.flatMap((segment, index) => [
      index ? "." : "",
      element("span", { className: `segment-${index}` }, segment),
    ]),
  );
  $("copy").disabled = false;
  updateCountdown();
}

function claims(members) {
  return Object.entries(members).map(([name, value]) =>
    element(
      "div",
      {},
      element("dt", {}, element("code", {}, name)),
      element("dd", {}, element("code", {}, JSON.stringify(value))),
      element("dd", { className: "meaning" }, describe(name, value)),
    ),
  );
}

/** Show how long the latest URL can start playback. */
export function updateCountdown() {
  if (!shown) return;
  const left = Math.max(0, Math.ceil(Date.parse(shown.expires_at) / 1000 - Date.now() / 1000));
  $("countdown").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  $("life").value = left / shown.ttl_seconds;
  const expired = left === 0;
  document.body.classList.toggle("expired", expired);
  $("countdown-unit").textContent = expired ? "expired" : "until the token expires";
  $("countdown-hint").textContent = expired
    ? "The video continues, because IVS checks exp only when playback starts. " +
      "To start again, this page needs a new URL."
    : "IVS checks exp only when playback starts. " +
      "A video that has started continues after that time.";
}

/** Copy the URL, or select its text if the browser denies access to the clipboard. */
export async function copyUrl() {
  try {
    await navigator.clipboard.writeText(shown.playback_url);
    showCopied("Copied", "The URL is copied.");
  } catch {
    getSelection().selectAllChildren($("url"));
    showCopied("Selected", "The URL is selected.");
  }
  setTimeout(() => showCopied("Copy URL", ""), COPIED_MILLISECONDS);
}

function showCopied(label, announcement) {
  $("copy").textContent = label;
  $("copied").textContent = announcement;
}
