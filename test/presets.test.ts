import { describe, expect, it } from 'vitest';
import type { PresetConfig, PresetInput } from '../src/config/config.ts';
import { filled, filledSoFar, Presets } from '../src/presets.ts';

const input = (type: PresetInput['type'], more: Partial<PresetInput> = {}): PresetInput => ({
  type,
  description: null,
  isRequired: false,
  usual: null,
  values: [],
  min: 0,
  max: 1_000,
  maxLength: 20,
  ...more,
});

const PRESET: PresetConfig = {
  name: 'try-on',
  description: null,
  model: 'editor',
  inputs: {
    person: input('image', { isRequired: true }),
    garment: input('image'),
    details: input('text', { usual: 'as it is' }),
    mood: input('text'),
    light: input('choice', { values: ['soft', 2], usual: 'soft' }),
    count: input('number', { min: 1, max: 4 }),
  },
  fields: {
    prompt: 'Wear it {details}, {light} {mood}',
    images: ['{person}', '{garment}'],
    n: '{count}',
    extra: { nested: ['{mood}', 'plain', 5], flag: true },
  },
};

const PERSON = 'https://example.com/person.png';

describe('a preset', () => {
  it('makes a request of a few fields, by its template', () => {
    const given = { person: PERSON, garment: 'data:image/png;base64,AA==', count: 2, mood: 'calm' };
    expect(filled(PRESET, given)).toEqual({
      model: 'editor',
      prompt: 'Wear it as it is, soft calm',
      images: [PERSON, 'data:image/png;base64,AA=='],
      n: 2,
      extra: { nested: ['calm', 'plain', 5], flag: true },
    });
  });

  it('leaves out what nobody says, and keeps the kind of what stands alone', () => {
    expect(filled(PRESET, { person: PERSON, light: 2 })).toEqual({
      model: 'editor',
      prompt: 'Wear it as it is, 2',
      images: [PERSON],
      extra: { nested: ['plain', 5], flag: true },
    });
  });

  it('takes what a caller writes for text, whatever is in it', () => {
    const details = '{garment} $& "a" \\n';
    const { prompt, images } = filled(PRESET, { person: PERSON, details });
    expect(prompt).toBe(`Wear it ${details}, soft`);
    expect(images).toEqual([PERSON]);
  });

  it('passes on what is for the gateway, and takes nothing else', () => {
    const own = { max_credits: 5, quote_id: 'q', callback_url: 'https://a.example/' };
    expect(filled(PRESET, { person: PERSON, ...own })).toMatchObject(own);
    for (const name of ['model', 'prompt', 'images', 'n', '__proto__x', 'constructor']) {
      const given = { person: PERSON, [name]: 'x' };
      expect(() => filled(PRESET, given)).toThrow(`"${name}" is not asked for by this preset`);
    }
  });

  it.each([
    [{}, '"person" is missing'],
    [{ person: '' }, '"person" must be an image'],
    [{ person: 5 }, '"person" must be an image'],
    [{ person: PERSON, details: 'x'.repeat(21) }, '"details" must be text of up to 20 characters'],
    [{ person: PERSON, details: ['x'] }, '"details" must be text'],
    [{ person: PERSON, light: 'hard' }, '"light" must be one of soft, 2'],
    [{ person: PERSON, count: 5 }, '"count" must be a number from 1 to 4'],
    [{ person: PERSON, count: '2' }, '"count" must be a number from 1 to 4'],
  ])('refuses %o by name', (given, message) => {
    expect(() => filled(PRESET, given)).toThrow(message);
  });

  it('can be priced before all of it is there', () => {
    expect(filledSoFar(PRESET, { count: 3, details: 7 })).toMatchObject({
      model: 'editor',
      images: ['data:,'],
      n: 3,
    });
  });

  it('is found by its name', () => {
    const presets = new Presets([PRESET]);
    expect(presets.find('try-on')).toBe(PRESET);
    expect(() => presets.find('toString')).toThrow('There are: try-on');
    presets.replace([]);
    expect(presets.all()).toEqual([]);
  });
});
