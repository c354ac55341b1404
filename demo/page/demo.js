// The player page: request a playback URL from the backend, play it, and explain its token.

import { element } from "./dom.js";
import { showExamples } from "./examples.js";
import { decode, describe } from "./token.js";

const HLS = "application/vnd.apple.mpegurl";
const NO_HLS =
  "This browser can't play HLS. Use Safari, or a current version of Chrome, Edge or Chromium. " +
  "The token and the examples below work in this browser too.";
const COUNTDOWN_MILLISECONDS = 250;
const COPIED_MILLISECONDS = 2000;

const $ = (id) => document.getElementById(id);
const video = $("video");
const urlForm = $("url-form");
let shown = null; // The backend's latest response. The countdown shows its expiry.

/** Post a body to the backend and return the response. Throws an Error with a message to show. */
async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The backend does not respond. Check that the demo is still running.");
  }
  const content = await response.json();
  if (!response.ok) throw new Error([content.detail, content.hint].filter(Boolean).join(" "));
  return content;
}

function requestUrl() {
  const { maximum_resolution, ttl_seconds } = Object.fromEntries(new FormData(urlForm));
  return post("/playback-urls", {
    ttl_seconds: Number(ttl_seconds),
    maximum_resolution: maximum_resolution || null,
  });
}

async function playNewUrl() {
  const button = urlForm.querySelector("button");
  button.disabled = true;
  try {
    const issued = await requestUrl();
    showToken(issued);
    play(issued.playback_url);
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
  // play() fails if autoplay is blocked (the user can press play), or if a new source replaces this
  // one. An error of the stream itself raises the video's error event.
  video.play().catch(() => {
    if (!video.error && video.paused) setStatus("waiting", "Press play");
  });
}

/** Return why a URL doesn't play, from the edge. A video element doesn't expose the reason. */
async function refusalReason(playbackUrl) {
  try {
    const response = await fetch(playbackUrl, { cache: "no-store" });
    return response.ok ? "Playback stopped." : (await response.json())[0].error;
  } catch {
    return "The edge does not respond.";
  }
}

function showToken(issued) {
  shown = issued;
  const url = new URL(issued.playback_url);
  const token = url.searchParams.get("token");
  const { header, payload, segments } = decode(token);
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

function updateCountdown() {
  if (!shown) return;
  const left = Math.max(0, Math.ceil(Date.parse(shown.expires_at) / 1000 - Date.now() / 1000));
  $("countdown").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  $("life").value = left / shown.ttl_seconds;
  const expired = left === 0;
  document.body.classList.toggle("expired", expired);
  $("countdown-unit").textContent = expired ? "expired" : "until the token expires";
  $("countdown-hint").textContent = expired
    ? "The video continues, because IVS checks exp only when playback starts. " +
      "To start again, get a new URL."
    : "IVS checks exp only when playback starts. " +
      "A video that has started continues after that time.";
}

function setStatus(state, text) {
  if ($("status").textContent === text) return;
  $("status").dataset.state = state;
  $("status").textContent = text;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function copyUrl() {
  try {
    await navigator.clipboard.writeText(shown.playback_url);
    $("copy").textContent = "Copied";
  } catch {
    // The browser denied access to the clipboard. The user can copy the selected text.
    getSelection().selectAllChildren($("url"));
    $("copy").textContent = "Selected";
  }
  setTimeout(() => ($("copy").textContent = "Copy URL"), COPIED_MILLISECONDS);
}

video.addEventListener("playing", () => setStatus("playing", "Playing"));
video.addEventListener("waiting", () => setStatus("waiting", "Waiting for video"));
video.addEventListener("pause", () => {
  if (!video.error && !video.ended) setStatus("waiting", "Paused");
});
video.addEventListener("ended", () => {
  setStatus("stopped", "Ended");
  notice("The stream has ended. When it is live again, get a new URL.");
});
video.addEventListener("resize", () => {
  $("picture").textContent = video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : "";
});
video.addEventListener("error", async () => {
  const failed = video.src;
  setStatus("stopped", "Stopped");
  const reason = await refusalReason(failed);
  // Show nothing if the page has started another URL by now.
  if (video.src === failed) notice(`${reason} To start again, get a new URL.`);
});
urlForm.addEventListener("submit", (event) => {
  event.preventDefault();
  playNewUrl();
});
$("copy").addEventListener("click", copyUrl);

const runAll = showExamples($("examples"), {
  playbackUrl: async () => (await requestUrl()).playback_url,
  refusedUrl: async (fault) => (await post("/refused-urls", { fault })).playback_url,
});
$("run-all").addEventListener("click", runAll);
setInterval(updateCountdown, COUNTDOWN_MILLISECONDS);
playNewUrl();
