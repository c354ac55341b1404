// Plays a private Amazon IVS channel in a browser: gets playback URLs, keeps a valid one, and gives
// it to a <video>, hls.js or the Amazon IVS player. docs/players.md of tokensvc shows how to use it.
//
// Amazon IVS checks a token when playback starts and not later, so a stream that plays needs no new
// URL. The next start does: after a reload, a lost network, or a session that Amazon IVS ended.

/**
 * The answer of `POST /v1/playback-urls`, or of your own backend with these members of it.
 * @typedef {object} PlaybackUrl
 * @property {string} playback_url
 * @property {string | null} [token]
 * @property {number | null} [ttl_seconds] For how long playback can start; absent: without end.
 * @property {number | null} [refresh_after_seconds] After which time to get the next URL.
 */
/**
 * Gets a URL. `signal` aborts the request; `refreshOf` is the token that it refreshes.
 * @typedef {(ask: { signal: AbortSignal, refreshOf?: string }) => Promise<Response | PlaybackUrl>} Source
 */
/** @typedef {(event: any, listener: (...values: any[]) => void) => void} Listen */
/**
 * What this module needs of hls.js, and of the Amazon IVS player.
 * @typedef {{ media: HTMLMediaElement | null, loadSource(url: string): void,
 *   recoverMediaError(): void, on: Listen, off: Listen }} HlsPlayer
 * @typedef {{ load(url: string): void, play(): void, addEventListener: Listen,
 *   removeEventListener: Listen }} IvsPlayer
 */
/** @typedef {HTMLMediaElement | HlsPlayer | IvsPlayer} Player */
/** @typedef {"unauthenticated" | "banned" | "revoked" | "forbidden" | "unavailable"} Kind */
/** @typedef {{ answer: PlaybackUrl, since: Instant, refreshAfter: number, isTaken: boolean }} Held */
/** @typedef {{ load(url: string): void, detach(): void }} Adapter */
/**
 * A player: its URL, whether it lacks one because a request was refused, and whether it has failed
 * and is not yet started again.
 * @typedef {{ adapter: Adapter, url: string, loaded: Instant, attempt: number, isIdle: boolean,
 *   isFailing: boolean }} Attached
 */

const LONGEST_REQUEST_SECONDS = 20;
const LONGEST_PAUSE_SECONDS = 30;
const LONGEST_STALL_SECONDS = 6;
const LONGEST_TIMER_SECONDS = 2_000_000; // A timer that is longer than 24 days ends at once.
const JITTER = 0.2; // The random part of a time, so that viewers do not ask all at once.
const RECENT_SECONDS = 5; // Players that fail together share one new URL.
const STEADY_SECONDS = 60; // A failure after this time is not a further attempt at the same start.
const MOST_REFUSED_STARTS = 3;
const KINDS = /** @type {Record<string, Kind>} */ ({
  unauthenticated: "unauthenticated",
  viewer_banned: "banned",
  viewer_revoked: "revoked",
  401: "unauthenticated",
  403: "forbidden",
});
const REFUSED_BY_IVS = {
  code: "refused_by_ivs",
  detail: "Amazon IVS refuses every new URL of this channel.",
  hint: "Compare the page's origin with `allowed_origins`, and run `tokensvc tokens inspect URL`.",
};
const ignore = () => {};

/** Why there is no playback URL. `code` is the stable code of the problem document. */
export class PlaybackRefused extends Error {
  /** @param {number} status @param {Record<string, any>} [problem] @param {number} [retryAfter] */
  constructor(status, problem = {}, retryAfter = 0) {
    super(problem.detail ?? "The request for a playback URL failed.");
    this.name = "PlaybackRefused";
    this.status = status; // 0 without an answer.
    this.code = String(problem.code ?? "");
    this.hint = String(problem.hint ?? "");
    this.requestId = String(problem.request_id ?? "");
    this.retryAfterSeconds = Number(problem.retry_after_seconds ?? retryAfter);
    this.isTransient = [0, 408, 425, 429].includes(status) || status >= 500;
    /** @type {Kind} */
    this.kind = KINDS[this.code] ?? KINDS[status] ?? "unavailable";
  }
}

/**
 * The playback of one channel for one viewer, in any number of players of a page.
 *
 * Its events are CustomEvents. Their `detail`:
 * - `url`: the new URL, as it was answered.
 * - `waiting`: it asks again after `seconds`, because of this `error`, with its `status` and `code`.
 * - `expired`: nothing. Playback can't start until there is a new URL. What plays goes on.
 * - `reload`: a player failed and starts again: `reason` ("expired", "forbidden" or "failed"), the
 *   `status` of its last request (0 if unknown), and `attempt`.
 * - `refused`: a PlaybackRefused. Nothing is asked until the page becomes visible again, or until
 *   you call a method.
 */
export class Playback extends EventTarget {
  #source;
  #keepSession;
  #random;
  #stopped = new AbortController();
  /** @type {Held | null} */ #held = null;
  /** @type {string | undefined} */ #refreshOf; // With `keepSession`: the last token.
  /** @type {Promise<Held> | null} */ #asking = null;
  /** @type {{ error: PlaybackRefused, since: Instant } | null} */ #refusal = null;
  /** @type {Set<Attached>} */ #players = new Set();
  /** @type {number[]} */ #timers = [];

  /**
   * @param {Source | string} source A function, or the address to which a POST is sent.
   * @param {{ keepSession?: boolean, random?: () => number }} [options] `keepSession`: requests name
   *   the token that they refresh, so that the audit log shows one viewing as one session.
   */
  constructor(source, { keepSession = false, random = Math.random } = {}) {
    super();
    this.#source = typeof source === "function" ? source : endpoint(source);
    this.#keepSession = keepSession;
    this.#random = random;
    const { signal } = this.#stopped;
    document.addEventListener("visibilitychange", () => this.#lookAgain(), { signal });
  }

  /** Get a URL now, so that playback can start at once later. */
  prefetch() {
    if (!this.#fresh()) this.#ask().catch(ignore);
  }

  /**
   * The URL to start playback with: the one that is kept, or a new one.
   * @returns {Promise<PlaybackUrl>} Rejects with PlaybackRefused; after `stop` with AbortError.
   */
  url() {
    return this.#take(this.#fresh());
  }

  /**
   * Play in this player, now and again after each failure. Attach media to hls.js before.
   * @param {Player} player
   * @returns {() => void} Call it to leave the player alone.
   */
  attach(player) {
    this.#stopped.signal.throwIfAborted();
    const adapter = adapterFor(player, (status) => this.#recover(attached, status));
    const loaded = new Instant();
    /** @type {Attached} */
    const attached = { adapter, url: "", loaded, attempt: 0, isIdle: false, isFailing: false };
    this.#players.add(attached);
    this.#load(attached, this.#fresh());
    return () => {
      this.#players.delete(attached);
      adapter.detach();
    };
  }

  /** Start every player again, for example when a viewer who was refused presses a button. */
  reload() {
    for (const attached of this.#players) this.#load(attached, this.#fresh());
  }

  /** End the timers, the request that runs, and the listeners. A stream that plays goes on. */
  stop() {
    this.#stopped.abort();
    this.#held = null;
    this.#timers.forEach(clearTimeout);
    for (const { adapter } of this.#players) adapter.detach();
    this.#players.clear();
  }

  /** @param {string} type @param {object} [detail] */
  #raise(type, detail) {
    if (!this.#stopped.signal.aborted) this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** The URL that is kept, null if playback can't start with it any more. */
  #fresh() {
    const held = this.#held;
    return held && held.since.ageSeconds() < lifeSeconds(held.answer) ? held : null;
  }

  /** @param {Held | null} held */
  async #take(held) {
    let taken = held ?? (await this.#ask());
    while (taken.isTaken && isSingleUse(taken.answer.playback_url)) taken = await this.#ask();
    taken.isTaken = true;
    return taken.answer;
  }

  /** A new URL, by one request for all who need one now. */
  #ask() {
    this.#asking ??= this.#askUntilAnswered().finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** @returns {Promise<Held>} */
  async #askUntilAnswered() {
    const { signal } = this.#stopped;
    for (let attempt = 1; ; attempt++) {
      const since = new Instant(); // Before the request: the life of the token begins after this.
      try {
        signal.throwIfAborted();
        const last = this.#refusal;
        if (last && last.since.ageSeconds() < last.error.retryAfterSeconds) throw last.error;
        return this.#hold(await this.#askOnce(), since);
      } catch (raised) {
        signal.throwIfAborted();
        const error = raised instanceof PlaybackRefused ? raised : new PlaybackRefused(0);
        if (this.#refreshOf && isSessionOver(error)) {
          this.#refreshOf = undefined; // Begin a new one.
          continue;
        }
        if (!error.isTransient) throw this.#refused(error);
        const seconds = this.#later(Math.max(pauseSeconds(attempt), error.retryAfterSeconds));
        this.#raise("waiting", { error: raised, status: error.status, code: error.code, seconds });
        await sleep(seconds, signal);
      }
    }
  }

  async #askOnce() {
    const late = AbortSignal.timeout(LONGEST_REQUEST_SECONDS * 1000);
    const signal = AbortSignal.any([this.#stopped.signal, late]);
    const answer = await read(await this.#source({ signal, refreshOf: this.#refreshOf }));
    signal.throwIfAborted();
    return answer;
  }

  /** @param {PlaybackUrl} answer @param {Instant} since @returns {Held} */
  #hold(answer, since) {
    const life = lifeSeconds(answer);
    const refreshAfter = (answer.refresh_after_seconds ?? 0.8 * life) * (1 - JITTER * this.#random());
    this.#refusal = null;
    this.#refreshOf = (this.#keepSession && answer.token) || undefined;
    this.#held = { answer, since, refreshAfter, isTaken: false };
    this.#timers.forEach(clearTimeout);
    this.#timers = [
      after(refreshAfter, () => this.#lookAgain()),
      after(life, () => this.#raise("expired")),
    ];
    this.#raise("url", answer);
    return this.#held;
  }

  /** @param {PlaybackRefused} error */
  #refused(error) {
    this.#timers.forEach(clearTimeout);
    this.#held = null;
    this.#refreshOf = undefined;
    if (this.#refusal?.error !== error) this.#refusal = { error, since: new Instant() };
    this.#raise("refused", error);
    return error;
  }

  /** In a hidden page, nothing is asked in advance: only when a player fails. */
  #lookAgain() {
    if (document.hidden) return;
    const isDue = this.#held && this.#held.since.ageSeconds() >= this.#held.refreshAfter;
    if (isDue || this.#refusal) this.#ask().catch(ignore);
    for (const attached of this.#players) if (attached.isIdle) this.#load(attached, this.#fresh());
  }

  /** @param {Attached} attached @param {Held | null} held */
  async #load(attached, held) {
    try {
      const { playback_url: url } = await this.#take(held);
      if (!this.#players.has(attached)) return; // Detached meanwhile.
      Object.assign(attached, { url, loaded: new Instant(), isIdle: false, isFailing: false });
      attached.adapter.load(url);
    } catch {
      attached.isIdle = true; // Refused, as the event says, or stopped.
    }
  }

  /**
   * A player failed; `status` is that of its last request.
   * @param {Attached} attached @param {number} status
   */
  async #recover(attached, status) {
    if (attached.isFailing || !this.#players.has(attached)) return;
    attached.isFailing = true;
    attached.attempt = attached.loaded.ageSeconds() > STEADY_SECONDS ? 1 : attached.attempt + 1;
    const { attempt } = attached;
    const isForbidden = status === 401 || status === 403;
    if (isForbidden && attempt > MOST_REFUSED_STARTS) {
      Object.assign(attached, { attempt: 0, isIdle: true });
      return this.#raise("refused", new PlaybackRefused(403, REFUSED_BY_IVS));
    }
    const reason = !this.#fresh() ? "expired" : isForbidden ? "forbidden" : "failed";
    this.#raise("reload", { reason, status, attempt });
    if (attempt > 1) {
      await sleep(this.#later(pauseSeconds(attempt - 1)), this.#stopped.signal).catch(ignore);
      if (!attached.isFailing) return; // Loaded meanwhile, by `reload`.
    }
    // Another status means that the token was not the cause. Otherwise the URL must be a new one.
    const isAccepted = status > 0 && !isForbidden;
    const held = this.#fresh();
    const isOther = held?.answer.playback_url !== attached.url;
    const isNew = held && isOther && held.since.ageSeconds() < RECENT_SECONDS;
    await this.#load(attached, isAccepted || isNew ? held : null);
  }

  /** @param {number} seconds */
  #later(seconds) {
    return seconds * (1 + JITTER * this.#random());
  }
}

/** @param {Player} player @param {(status: number) => void} failed @returns {Adapter} */
function adapterFor(player, failed) {
  if ("canPlayType" in player) return videoAdapter(player, failed);
  return "loadSource" in player ? hlsAdapter(player, failed) : ivsAdapter(player, failed);
}

/** @param {HTMLMediaElement} video @param {(status: number) => void} failed @returns {Adapter} */
function videoAdapter(video, failed) {
  let url = "";
  let stall = 0;
  let hasPlayed = false;
  const detached = new AbortController();
  /** @param {string} type @param {() => void} act */
  const on = (type, act) => video.addEventListener(type, act, { signal: detached.signal });
  // A media element does not show the status, so its playlist is requested once more.
  const fail = async () => failed(isSingleUse(url) ? 0 : await statusOf(url));
  for (const type of ["playing", "pause", "emptied", "error"]) on(type, () => clearTimeout(stall));
  on("error", fail);
  on("playing", () => (hasPlayed = true));
  // When Amazon IVS ends a session, Chromium requests the playlist again and again and raises no error.
  on("waiting", () => {
    clearTimeout(stall);
    if (hasPlayed) stall = after(LONGEST_STALL_SECONDS, fail);
  });
  return {
    load(next) {
      const resume = !video.paused;
      hasPlayed = false;
      video.src = url = next;
      if (resume) video.play().catch(ignore);
    },
    detach() {
      detached.abort();
      clearTimeout(stall);
    },
  };
}

/** @param {HlsPlayer} hls @param {(status: number) => void} failed @returns {Adapter} */
function hlsAdapter(hls, failed) {
  let recoveredAt = -Infinity;
  const onError = (/** @type {string} */ _name, /** @type {any} */ error) => {
    if (!error.fatal) return;
    const isRecoverable = performance.now() - recoveredAt > RECENT_SECONDS * 1000;
    if (error.type !== "mediaError" || !isRecoverable) return failed(error.response?.code ?? 0);
    recoveredAt = performance.now();
    hls.recoverMediaError();
  };
  hls.on("hlsError", onError);
  return {
    load(url) {
      const resume = hls.media && !hls.media.paused;
      hls.loadSource(url);
      if (resume) hls.media?.play().catch(ignore);
    },
    detach: () => hls.off("hlsError", onError),
  };
}

/** @param {IvsPlayer} player @param {(status: number) => void} failed @returns {Adapter} */
function ivsAdapter(player, failed) {
  let resume = false;
  const onError = (/** @type {{ type: string, code: number }} */ { type, code }) => {
    resume = true; // An error makes this player idle.
    failed(type === "ErrorAuthorization" ? 403 : code);
  };
  player.addEventListener("PlayerError", onError);
  return {
    load(url) {
      player.load(url);
      if (resume) player.play();
    },
    detach: () => player.removeEventListener("PlayerError", onError),
  };
}

/** A point in time, by the clock that no one sets and by the one that goes on in sleep. */
class Instant {
  #wall = Date.now();
  #monotonic = performance.now();

  ageSeconds() {
    return Math.max(Date.now() - this.#wall, performance.now() - this.#monotonic) / 1000;
  }
}

/** @param {string} address @returns {Source} */
function endpoint(address) {
  return ({ signal, refreshOf }) =>
    fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(refreshOf ? { refresh_of: refreshOf } : {}),
      signal,
    });
}

/** @param {Response | PlaybackUrl} answer @returns {Promise<PlaybackUrl>} */
async function read(answer) {
  if (!(answer instanceof Response)) return answer;
  const content = await answer.json().catch(() => ({}));
  if (answer.ok && content.playback_url) return content;
  const field = answer.headers.get("Retry-After") ?? "";
  const seconds = /^\d+$/.test(field) ? Number(field) : (Date.parse(field) - Date.now()) / 1000;
  throw new PlaybackRefused(answer.status, content, Math.max(0, seconds || 0));
}

/** @param {string} url */
async function statusOf(url) {
  try {
    const answer = await fetch(url, { cache: "no-store" });
    await answer.text(); // An unread body keeps its connection.
    return answer.status;
  } catch {
    return 0;
  }
}

/**
 * Whether a refresh was refused because its session can't go on. A new one can begin at once, unless
 * the answer says to wait: then the viewer was removed a moment ago.
 * @param {PlaybackRefused} error
 */
function isSessionOver({ status, kind, retryAfterSeconds }) {
  return status === 400 || (kind === "revoked" && retryAfterSeconds === 0);
}

/** @param {PlaybackUrl} answer */
function lifeSeconds({ ttl_seconds }) {
  return ttl_seconds ?? Infinity;
}

/** @param {string} url */
function isSingleUse(url) {
  const payload = new URL(url, location.href).searchParams.get("token")?.split(".")[1] ?? "";
  return atob(payload.replaceAll("-", "+").replaceAll("_", "/")).includes("aws:single-use-uuid");
}

/** @param {number} attempt */
function pauseSeconds(attempt) {
  return Math.min(LONGEST_PAUSE_SECONDS, 2 ** (attempt - 1));
}

/** @param {number} seconds @param {() => void} act @returns {number} */
function after(seconds, act) {
  return window.setTimeout(act, Math.min(seconds, LONGEST_TIMER_SECONDS) * 1000);
}

/** @param {number} seconds @param {AbortSignal} signal @returns {Promise<void>} */
function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = after(seconds, resolve);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
