import { describe, expect, it } from 'vitest';
import { utcDay, utcMonth } from '../src/clock.ts';

const DAY = 86_400_000;
const two = (number: number) => String(number).padStart(2, '0');

describe('windows of time', () => {
  it('are the days and months of the calendar, for 400 years, to the millisecond (L-6)', () => {
    let start = Date.UTC(2000, 0, 1);
    for (let year = 2000; year < 2400; year += 1) {
      const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
      for (const [index, length] of [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].entries()) {
        const days = index === 1 && isLeap ? 29 : length;
        const month = `${year}-${two(index + 1)}`;
        for (let day = 1; day <= days; day += 1, start += DAY) {
          const last = start + DAY - 1;
          const told = [utcDay(start), utcDay(last), utcMonth(start), utcMonth(last)];
          const date = `${month}-${two(day)}`;
          if (told.join() !== [date, date, month, month].join())
            expect(told).toEqual([date, month]);
        }
      }
    }
    // 400 years of the Gregorian calendar are 146,097 days.
    expect(start - Date.UTC(2000, 0, 1)).toBe(146_097 * DAY);
  });
});
