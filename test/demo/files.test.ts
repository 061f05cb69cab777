import { existsSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { newCanvas, writeText } from '../../src/demo/canvas.ts';
import { demoFile, readAsked } from '../../src/demo/file.ts';
import { png } from '../../src/demo/png.ts';

const CHROMIUM = '/usr/bin/chromium';

/** Runs in the page, and so is no TypeScript of ours. */
const PLAYED = `async ([picture, clip, sound]) => {
  const image = new Image();
  image.src = picture;
  await image.decode();
  const loaded = (element, source) =>
    new Promise((resolve, reject) => {
      element.oncanplaythrough = resolve;
      element.onerror = () => reject(new Error(element.error.message));
      element.src = source;
    });
  const video = document.createElement('video');
  await loaded(video, clip);
  video.oncanplaythrough = null;
  const shot = async (seconds) => {
    video.currentTime = seconds;
    await new Promise((resolve) => (video.onseeked = resolve));
    const canvas = document.createElement('canvas');
    canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL();
  };
  const isMoving = (await shot(0.2)) !== (await shot(4.7));
  const over = new Promise((resolve) => (video.onended = resolve));
  await video.play();
  await over;
  const audio = document.createElement('audio');
  await loaded(audio, sound);
  return {
    picture: [image.naturalWidth, image.naturalHeight],
    clip: {
      seconds: video.duration,
      sides: [video.videoWidth, video.videoHeight],
      isOver: video.ended,
      corrupted: video.getVideoPlaybackQuality().corruptedVideoFrames,
      isMoving,
    },
    sound: audio.duration,
  };
}`;

describe('demo files', () => {
  it('shows its prompt in letters that can be told apart', () => {
    const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789');
    const drawn = letters.map((letter) => {
      const canvas = newCanvas(16, 16, 1);
      writeText(canvas, letter, 1);
      return Buffer.from(canvas.pixels).toString('hex');
    });
    expect(new Set(drawn).size).toBe(letters.length);
  });

  it('writes a PNG of the size that was asked for, row by row', () => {
    const { bytes, contentType } = demoFile(readAsked({ prompt: 'fox', size: '300x200' }));
    expect(contentType).toBe('image/png');
    expect(bytes.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([300, 200]);
    const at = bytes.indexOf('IDAT');
    const rows = inflateSync(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4)));
    expect(rows.length).toBe(301 * 200);
  });

  it('cuts the background out', () => {
    const whole = png(newCanvas(16, 16, 1));
    const cutOut = demoFile(readAsked({ type: 'background_remove', size: '16x16' })).bytes;
    expect(whole.includes('tRNS')).toBe(false);
    expect(cutOut.includes('tRNS')).toBe(true);
  });

  it('writes a WAV as long as was asked for', () => {
    const { bytes, contentType } = demoFile(readAsked({ type: 'music', duration: 7 }));
    expect(contentType).toBe('audio/wav');
    expect(bytes.readUInt32LE(40) / bytes.readUInt32LE(28)).toBe(7);
    expect(bytes.readUInt32LE(4) + 8).toBe(bytes.length);
  });

  it('makes the same of the same words, and something else of others', () => {
    const file = (prompt: string) => demoFile(readAsked({ type: 'video', prompt, duration: 1 }));
    expect(file('a fox').bytes.equals(file('a fox').bytes)).toBe(true);
    expect(file('a fox').bytes.equals(file('a dog').bytes)).toBe(false);
  });
});

describe.runIf(existsSync(CHROMIUM))('in a browser', () => {
  it('plays: picture, clip and sound', { timeout: 30_000 }, async () => {
    await using browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--autoplay-policy=no-user-gesture-required'],
    });
    const page = await browser.newPage();
    const link = (type: string, more: object = {}) => {
      const { bytes, contentType } = demoFile(readAsked({ type, prompt: 'A red fox.', ...more }));
      return `data:${contentType};base64,${bytes.toString('base64')}`;
    };
    const links = [
      link('image'),
      link('video', { duration: 6, aspect_ratio: '9:16' }),
      link('sound', { duration: 3 }),
    ];
    const seen = await page.evaluate(`(${PLAYED})(${JSON.stringify(links)})`);
    expect(seen).toEqual({
      picture: [1024, 1024],
      clip: { seconds: 6, sides: [144, 256], isOver: true, corrupted: 0, isMoving: true },
      sound: 3,
    });
  });
});
