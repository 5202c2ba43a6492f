/** Hours of the day in which batches may begin, by the clock on the wall of a time zone. */
import { type TimeWindow, windowDays } from '../throttle-config.ts';

const minuteMs = 60_000;
const minutesOfDay = 1_440;
/** Of which no zone's offset to UTC and no change of it is a fraction. */
const coarseMinutes = 15;
/** A day that a change of the clock leaves without its hours is passed over, and then there is a week to the next. */
const daysAhead = 15;

export class WindowClock {
  readonly #window: TimeWindow;
  readonly #from: number;
  readonly #to: number;
  readonly #format: Intl.DateTimeFormat;

  constructor(window: TimeWindow) {
    this.#window = window;
    this.#from = minutesOf(window.from);
    this.#to = minutesOf(window.to);
    this.#format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: window.timeZone, hourCycle: 'h23' },
      ...{ weekday: 'short', hour: '2-digit', minute: '2-digit' },
    });
  }

  /** An hour that the clock shows twice counts twice, one that it leaves out never comes. */
  isOpen(at: number): boolean {
    const { minute, day } = this.#read(at);
    if (this.#from < this.#to) return minute >= this.#from && minute < this.#to && this.#has(day);
    if (minute >= this.#from) return this.#has(day);
    // After midnight the window is that of the day before.
    return minute < this.#to && this.#has((day + 6) % 7);
  }

  /** When it opens next, in milliseconds since 1970; null where it does not within two weeks. */
  nextOpening(at: number): number | null {
    const length = (this.#to - this.#from + minutesOfDay) % minutesOfDay || minutesOfDay;
    const step = Math.min(coarseMinutes, length) * minuteMs;
    const begin = Math.floor(at / minuteMs) * minuteMs;
    for (let next = begin; next < at + daysAhead * minutesOfDay * minuteMs; next += step) {
      if (!this.isOpen(next)) continue;
      let first = next;
      while (first - minuteMs > begin && this.isOpen(first - minuteMs)) first -= minuteMs;
      return first;
    }
    return null;
  }

  #has(day: number): boolean {
    const { days } = this.#window;
    return days === undefined || days.includes(windowDays[day] as (typeof windowDays)[number]);
  }

  #read(at: number): { minute: number; day: number } {
    const parts = new Map(this.#format.formatToParts(at).map(({ type, value }) => [type, value]));
    const weekday = parts.get('weekday')?.toLowerCase();
    return {
      minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')),
      day: (windowDays as readonly string[]).indexOf(weekday ?? ''),
    };
  }
}

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
