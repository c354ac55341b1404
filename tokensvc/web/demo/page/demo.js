// The player page: ask the backend for a playback URL, play it, and show what is in it.

import { element } from "./dom.js";
import { decode, sentenceOn } from "./token.js";
import { showTrials } from "./trials.js";

const HLS = "application/vnd.apple.mpegurl";
const NO_HLS =
  "This browser doesn't play HLS by itself. Safari and current versions of Chrome, Edge and " +
  "Chromium do. The token and the refusals on this page work here all the same.";
const TICK_MILLISECONDS = 250;
const COPIED_MILLISECONDS = 2000;

const $ = (id) => document.getElementById(id);
const video = $("video");
const askForm = $("ask");
let shown = null; // The backend's last answer: what the countdown counts for.

/** The backend's answer to that body; throws an Error with the backend's words. */
async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The service doesn't answer. Is it still running?");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error([answer.detail, answer.hint].filter(Boolean).join(" "));
  return answer;
}

function askForUrl() {
  const { maximum_resolution, ttl_seconds } = Object.fromEntries(new FormData(askForm));
  return post("/demo/playback-urls", {
    ttl_seconds: Number(ttl_seconds),
    maximum_resolution: maximum_resolution || null,
  });
}

async function playNewUrl() {
  const button = askForm.querySelector("button");
  button.disabled = true;
  try {
    const answer = await askForUrl();
    showToken(answer);
    play(answer.playback_url);
  } catch (error) {
    notice(error.message);
    setStatus("stopped", "No playback URL");
  } finally {
    button.disabled = false;
  }
}

function play(playbackUrl) {
  if (video.canPlayType(HLS) === "") {
    notice(NO_HLS);
    setStatus("stopped", "Not playing");
    return;
  }
  notice("");
  setStatus("waiting", "Starting");
  video.src = playbackUrl;
  // Refused autoplay leaves the controls, and a new source cuts off the start of the one before;
  // what is wrong with the stream itself comes as the video's error event.
  video.play().catch(() => {
    if (!video.error && video.paused) setStatus("waiting", "Press play");
  });
}

/** Why a URL doesn't play, in the edge's words: a video element doesn't tell them. */
async function edgesReason(playbackUrl) {
  try {
    const response = await fetch(playbackUrl, { cache: "no-store" });
    return response.ok ? "Playback stopped." : (await response.json())[0].error;
  } catch {
    return "The edge doesn't answer.";
  }
}

function showToken(answer) {
  shown = answer;
  const url = new URL(answer.playback_url);
  const token = url.searchParams.get("token");
  const { header, payload, segments } = decode(token);
  $("channel-arn").textContent = answer.channel_arn;
  $("refresh-after").textContent = `${answer.refresh_after_seconds} s`;
  $("key-id").textContent = answer.key_id;
  $("header").replaceChildren(...claims(header));
  $("payload").replaceChildren(...claims(payload));
  $("url").replaceChildren(
    `${url.origin}${url.pathname}?token=`,
    ...segments.flatMap((segment, place) => [
      place ? "." : "",
      element("span", { className: `segment-${place}` }, segment),
    ]),
  );
  $("copy").disabled = false;
  tick();
}

function claims(members) {
  return Object.entries(members).map(([name, value]) =>
    element(
      "div",
      {},
      element("dt", {}, element("code", {}, name)),
      element("dd", {}, element("code", {}, JSON.stringify(value))),
      element("dd", { className: "meaning" }, sentenceOn(name, value)),
    ),
  );
}

function tick() {
  if (!shown) return;
  const left = Math.max(0, Math.ceil(Date.parse(shown.expires_at) / 1000 - Date.now() / 1000));
  $("countdown").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  $("life").value = left / shown.ttl_seconds;
  const expired = left === 0;
  document.body.classList.toggle("expired", expired);
  $("countdown-unit").textContent = expired ? "expired" : "until it expires";
  $("countdown-hint").textContent = expired
    ? "The picture goes on: IVS read exp when playback started. A new start needs a new URL."
    : "IVS reads exp when playback starts. What plays by then plays on.";
}

function setStatus(state, words) {
  if ($("status").textContent === words) return;
  $("status").dataset.state = state;
  $("status").textContent = words;
}

function notice(words) {
  $("notice").textContent = words;
  $("notice").hidden = !words;
}

async function copyUrl() {
  try {
    await navigator.clipboard.writeText(shown.playback_url);
    $("copy").textContent = "Copied";
  } catch {
    // A browser may keep the clipboard to itself; the reader can still copy what is marked.
    getSelection().selectAllChildren($("url"));
    $("copy").textContent = "Marked";
  }
  setTimeout(() => ($("copy").textContent = "Copy the URL"), COPIED_MILLISECONDS);
}

video.addEventListener("playing", () => setStatus("playing", "Playing"));
video.addEventListener("waiting", () => setStatus("waiting", "Waiting for video"));
video.addEventListener("pause", () => video.error || setStatus("waiting", "Paused"));
video.addEventListener("resize", () => {
  $("picture").textContent = video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : "";
});
video.addEventListener("error", async () => {
  const failed = video.src;
  setStatus("stopped", "Stopped");
  const reason = await edgesReason(failed);
  // Unless another URL was asked for meanwhile.
  if (video.src === failed) notice(`${reason} Ask for a new URL to start again.`);
});
askForm.addEventListener("submit", (event) => {
  event.preventDefault();
  playNewUrl();
});
$("copy").addEventListener("click", copyUrl);

const tryAll = showTrials($("trials"), {
  playbackUrl: async () => (await askForUrl()).playback_url,
  refusedUrl: async (fault) => (await post("/demo/refused-urls", { fault })).playback_url,
});
$("try-all").addEventListener("click", tryAll);
setInterval(tick, TICK_MILLISECONDS);
playNewUrl();
