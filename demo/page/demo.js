// The page of the demo: play the channel with the player module of tokensvc, and explain the token.

import { post, reasonToWait, send } from "./backend.js";
import { onClick, setText } from "./dom.js";
import { showExamples } from "./examples.js";
import { copyUrl, showIssued, updateCountdown } from "./issued.js";
import { onViewer, selectedViewer, showModerator } from "./viewers.js";

const HLS = "application/vnd.apple.mpegurl";
const NO_HLS =
  "This browser can't play HLS. Use Safari, or a current version of Chrome, Edge or Chromium. " +
  "The token and the examples below work in this browser too.";
const NO_SERVICE = "The service tokensvc does not respond. Check that the demo is still running.";
const COUNTDOWN_MILLISECONDS = 250;
const PREVIEW_SECONDS = 30;
const BANNED_PAUSE_SECONDS = 30;
const REFUSALS = {
  banned: `You are banned from this channel. This page asks again every ${BANNED_PAUSE_SECONDS} s.`,
  revoked: "A moderator has ended your session.",
  unauthenticated: "Your sign-in has expired. Sign in again.",
};

const $ = (id) => document.getElementById(id);
const video = $("video");
const urlForm = $("url-form");
const configuration = await (await fetch("/configuration")).json();
let playback = null;
let idToken; // Of the viewer, if one has signed in.
let previewEndsAt = null; // Milliseconds.
let askAgain; // The timer after a refusal.

/** Play with URLs for the options that the form has now, and keep a valid one. */
async function play({ seconds } = {}) {
  // A whole second, as in `watch_until`: the service refuses a URL from then on.
  previewEndsAt = seconds ? (Math.floor(Date.now() / 1000) + seconds) * 1000 : null;
  const source = urls({ ...options(), watch_until: seconds ? rfc3339(previewEndsAt) : null });
  playback?.stop();
  clearTimeout(askAgain);
  const { Playback } = await playerModule();
  playback = new Playback(source);
  listen(playback);
  if (video.canPlayType(HLS) === "") {
    playback.prefetch();
    notice(NO_HLS);
    setStatus("stopped", "Not playing");
    return;
  }
  setStatus("waiting", "Starting");
  playback.attach(video);
}

/** What gets a URL: the backend for the guest, and tokensvc itself with a viewer's own token. */
function urls(body) {
  if (!idToken) return ({ signal }) => send("/playback-urls", body, { signal });
  const { service_url: service, channel } = configuration;
  const headers = { Authorization: `Bearer ${idToken}` };
  const whole = { ...body, channel, allowed_origins: [location.origin] };
  return ({ signal }) => send(`${service}/v1/playback-urls`, whole, { signal, headers });
}

const rfc3339 = (milliseconds) => new Date(milliseconds).toISOString().replace(/\.\d+/, "");

async function playerModule() {
  try {
    return await import(`${configuration.service_url}/v1/player.js`);
  } catch (error) {
    notice(NO_SERVICE);
    setStatus("stopped", "No player");
    throw error;
  }
}

function options() {
  const { maximum_resolution, ttl_seconds } = Object.fromEntries(new FormData(urlForm));
  return { ttl_seconds: Number(ttl_seconds), maximum_resolution: maximum_resolution || null };
}

function listen(current) {
  const on = (type, show) => current.addEventListener(type, ({ detail }) => show(detail));
  on("url", (issued) => {
    showIssued(issued);
    if (video.canPlayType(HLS) !== "" && !video.ended) notice("");
  });
  on("waiting", (failure) => {
    notice(`${reasonToWait(failure)} Trying again in ${Math.ceil(failure.seconds)} s.`);
    setStatus("stopped", "No playback URL");
  });
  on("refused", (refusal) => {
    notice(explanation(refusal), { canRetry: true });
    setStatus("stopped", "No playback URL");
    askLater(current, refusal);
  });
  on("reload", async () => {
    setStatus("stopped", "Stopped");
    const reason = await reasonToStop(video.src);
    if (current === playback && video.error) notice(`${reason} Starting again.`);
  });
}

function explanation({ kind, message, hint, retryAfterSeconds }) {
  if (previewEndsAt && Date.now() >= previewEndsAt) return "Your preview has ended.";
  const text = REFUSALS[kind] ?? [message, hint].filter(Boolean).join(" ");
  return retryAfterSeconds ? `${text} Trying again in ${retryAfterSeconds} s.` : text;
}

/** Ask again when the refusal says so, and while the viewer is banned: the ban may be lifted. */
function askLater(current, { kind, retryAfterSeconds }) {
  clearTimeout(askAgain);
  const seconds = retryAfterSeconds || (kind === "banned" ? BANNED_PAUSE_SECONDS : 0);
  if (seconds) askAgain = setTimeout(() => current.reload(), seconds * 1000);
}

/** Return why a URL doesn't play, from the edge. A video element doesn't expose the reason. */
async function reasonToStop(playbackUrl) {
  try {
    const response = await fetch(playbackUrl, { cache: "no-store" });
    return response.ok ? "Playback stopped." : (await response.json())[0].error;
  } catch {
    return "The edge does not respond.";
  }
}

function setStatus(state, text) {
  $("status").dataset.state = state;
  setText($("status"), text);
}

function notice(text, { canRetry = false } = {}) {
  setText($("notice-text"), text);
  $("notice").hidden = !text;
  $("again").hidden = !canRetry;
}

video.addEventListener("playing", () => {
  notice("");
  setStatus("playing", "Playing");
});
video.addEventListener("waiting", () => setStatus("waiting", "Waiting for video"));
video.addEventListener("canplay", () => {
  if (video.paused) setStatus("waiting", "Press play"); // The browser has blocked autoplay.
});
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
urlForm.addEventListener("submit", (event) => {
  event.preventDefault();
  play();
});
$("again").addEventListener("click", () => (previewEndsAt ? play() : playback.reload()));
$("preview").addEventListener("click", () => play({ seconds: PREVIEW_SECONDS }));
$("copy").addEventListener("click", copyUrl);
onViewer((_viewer, token) => {
  idToken = token;
  playback?.stop();
  video.removeAttribute("src"); // What still plays is the former viewer's.
  video.load();
  play();
});
showModerator((viewer) => {
  if (viewer === selectedViewer()) playback.reload();
});

const runAll = showExamples($("examples"), {
  playbackUrl: async () => (await post("/playback-urls", options())).playback_url,
  refusedUrl: async (fault) => (await post("/refused-urls", { fault })).playback_url,
});
onClick($("run-all"), runAll);
setInterval(updateCountdown, COUNTDOWN_MILLISECONDS);
play();
