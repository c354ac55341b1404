// Times by the clock of the service, as text.

/** @type {Intl.DateTimeFormatOptions} */
export const HOURS = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** The clock of the service: a wrong clock of this device moves no countdown. */
export class ServiceClock {
  #ahead = Number.NaN; // Milliseconds by which it is ahead of `performance.now()`.

  /** @param {string} at The time of an answer, to the second. */
  set(at) {
    const ahead = Date.parse(at) - performance.now();
    // Answers have no parts of a second, so the largest of several is the nearest.
    const isNear = Math.abs(ahead - this.#ahead) < 2_000;
    this.#ahead = isNear ? Math.max(ahead, this.#ahead) : ahead;
  }

  /** Milliseconds since 1970. */
  now() {
    return this.#ahead + performance.now();
  }
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const [days, hours] = [Math.floor(whole / 86_400), Math.floor((whole % 86_400) / 3_600)];
  if (days > 0) return `${days} d ${hours} h`;
  const [minutes, rest] = [Math.floor((whole % 3_600) / 60), whole % 60];
  const ending = `${String(minutes).padStart(hours ? 2 : 1, "0")}:${String(rest).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${ending}` : ending;
}

/** @param {number | null} seconds */
export function age(seconds) {
  if (seconds === null) return "–";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/**
 * The time of day, with the date unless it is today.
 * @param {string | null} at
 * @param {number} now
 */
export function moment(at, now) {
  if (at === null) return "–";
  const date = new Date(at);
  const isToday = date.toDateString() === new Date(now).toDateString();
  const time = date.toLocaleTimeString([], { ...HOURS, second: "2-digit" });
  if (isToday) return time;
  return `${date.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}
