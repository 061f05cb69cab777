/** A small picture of palette colours, with letters on it: what the sandbox makes its images and videos of. */

export interface Canvas {
  width: number;
  height: number;
  /** Indices into the palette, row by row. */
  pixels: Uint8Array;
  palette: Rgb[];
}

export type Rgb = readonly [red: number, green: number, blue: number];

/** Colours of the background, one row of the gradient each; then ink, then the moving mark. */
export const SHADES = 32;
export const INK = SHADES;
export const MARK = SHADES + 1;

/** Three columns and five rows a letter: each digit is a row of three bits. */
const FONT = `
  A25755 B65656 C34443 D65556 E74647 F74644 G34553 H55755 I72227 J11152
  K55655 L44447 M57755 N65555 O25552 P65644 Q25573 R65655 S34216 T72222
  U55557 V55552 W55775 X55255 Y55222 Z71247 075557 126227 261247
  361216 455711 574616 634657 771222 875757 975716 .00002 ,00024 !22202
  ?61202 :02020 ;02024 -00700 +02720 /11244 '22000 "55000 (24442 )21112
  #57575 %51245 =07070 *05250 _00007
`;
const GLYPHS = new Map([
  [' ', '00000'],
  ...FONT.trim()
    .split(/\s+/)
    .map((entry) => [entry.slice(0, 1), entry.slice(1)] as const),
]);
/** A letter that is not there. */
const BOX = '77777';
const LETTER_WIDTH = 4;
const LETTER_HEIGHT = 6;

export function newCanvas(width: number, height: number, seed: number): Canvas {
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y += 1) {
    pixels.fill(Math.floor((y * SHADES) / height), y * width, (y + 1) * width);
  }
  return { width, height, pixels, palette: paletteOf(seed) };
}

/** From one hue to another, both told by the seed. */
function paletteOf(seed: number): Rgb[] {
  const from = hue(seed % 360);
  const to = hue((seed * 7 + 90) % 360);
  const shades = Array.from({ length: SHADES }, (_, n): Rgb => {
    const mix = (a: number, b: number) => Math.round(a + ((b - a) * n) / (SHADES - 1));
    return [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])];
  });
  return [...shades, [255, 255, 255], [255, 196, 64]];
}

/** Dark enough for white letters. */
function hue(degrees: number): Rgb {
  const part = (shift: number) => {
    const k = (shift + degrees / 30) % 12;
    return Math.round(255 * (0.36 - 0.24 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [part(0), part(8), part(4)];
}

export function fillRect(
  { width, height, pixels }: Canvas,
  rect: { x: number; y: number; width: number; height: number },
  colour: number,
): void {
  const right = Math.min(width, Math.max(0, rect.x + rect.width));
  const bottom = Math.min(height, rect.y + rect.height);
  for (let y = Math.max(0, rect.y); y < bottom; y += 1) {
    pixels.fill(colour, y * width + Math.max(0, rect.x), y * width + right);
  }
}

/** Writes a text in lines that fit, from the top; what does not fit any more is left out. */
export function writeText(canvas: Canvas, text: string, scale: number): void {
  const margin = 2 * scale;
  const perLine = Math.max(1, Math.floor((canvas.width - 2 * margin) / (LETTER_WIDTH * scale)));
  const most = Math.max(1, Math.floor((canvas.height - 2 * margin) / (LETTER_HEIGHT * scale)));
  for (const [row, line] of linesOf(text, perLine).slice(0, most).entries()) {
    for (const [column, letter] of Array.from(line).entries()) {
      const x = margin + column * LETTER_WIDTH * scale;
      drawLetter(canvas, letter, { x, y: margin + row * LETTER_HEIGHT * scale, scale });
    }
  }
}

function drawLetter(
  canvas: Canvas,
  letter: string,
  { x, y, scale }: { x: number; y: number; scale: number },
): void {
  for (const [row, bits] of Array.from(GLYPHS.get(letter) ?? BOX).entries()) {
    for (let column = 0; column < 3; column += 1) {
      if (!(Number(bits) & (4 >> column))) continue;
      const at = { x: x + column * scale, y: y + row * scale, width: scale, height: scale };
      fillRect(canvas, at, INK);
    }
  }
}

function linesOf(text: string, perLine: number): string[] {
  // Accents are left out rather than letters.
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
  const lines: string[] = [];
  let line = '';
  for (const word of plain.split(/\s+/)) {
    let rest = word;
    if (line && line.length + 1 + rest.length > perLine) {
      lines.push(line);
      line = '';
    }
    for (; rest.length > perLine; rest = rest.slice(perLine)) lines.push(rest.slice(0, perLine));
    line = line ? `${line} ${rest}` : rest;
  }
  return line ? [...lines, line] : lines;
}
