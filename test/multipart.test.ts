import { describe, expect, it } from 'vitest';
import { AppError } from '../src/errors.ts';
import { boundaryOf, canonicalForm, fieldsOf, readForm, readFormPrefix } from '../src/multipart.ts';

async function sent(form: FormData): Promise<{ body: Buffer; boundary: string }> {
  const response = new Response(form);
  const boundary = boundaryOf(response.headers.get('content-type') ?? undefined);
  return { body: Buffer.from(await response.arrayBuffer()), boundary: boundary! };
}

function formWith(file: Buffer): FormData {
  const form = new FormData();
  form.append('model', 'ears');
  form.append('file', new Blob([new Uint8Array(file)], { type: 'audio/wav' }), 'a "b".wav');
  form.append('größe', 'ä\r\n--x');
  return form;
}

function text(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'));
}

describe('a form', () => {
  it('is read as a browser sends it, byte for byte', async () => {
    const file = Buffer.from([0, 13, 10, 45, 45, 255, 13, 10]);
    const { body, boundary } = await sent(formWith(file));
    const parts = readForm(body, boundary);
    expect(parts.map(({ name, filename, contentType }) => [name, filename, contentType])).toEqual([
      ['model', null, null],
      ['file', 'a "b".wav', 'audio/wav'],
      ['größe', null, null],
    ]);
    expect(parts[1]!.bytes.equals(file)).toBe(true);
    expect(fieldsOf(parts)).toEqual(
      new Map([
        ['model', 'ears'],
        ['größe', 'ä\r\n--x'],
      ]),
    );
  });

  it('is the same form under another boundary, and another one with another file', async () => {
    const forms = await Promise.all(
      [Buffer.from('a'), Buffer.from('a'), Buffer.from('b')].map((file) => sent(formWith(file))),
    );
    const [first, second, other] = forms.map(({ body, boundary }) =>
      canonicalForm(readForm(body, boundary)),
    );
    expect(forms[0]!.boundary).not.toBe(forms[1]!.boundary);
    expect(first!.equals(second!)).toBe(true);
    expect(first!.equals(other!)).toBe(false);
  });

  it('is read as far as it came', async () => {
    const { body } = await sent(formWith(Buffer.alloc(1_000, 7)));
    for (let end = 0; end < body.length; end += 1) {
      const parts = readFormPrefix(body.subarray(0, end));
      expect(parts.length).toBeLessThanOrEqual(3);
    }
    const [model, file] = readFormPrefix(body.subarray(0, 600));
    expect(model!.bytes.toString()).toBe('ears');
    expect(file!.bytes.length).toBeGreaterThan(100);
    expect(readFormPrefix(Buffer.from('{"model":"x"}'))).toEqual([]);
  });

  it('may have something before it and after it, and parts without bytes', () => {
    const head = 'Content-Disposition: form-data; name=a';
    const body = text(
      'read by nobody',
      '--x',
      head,
      '',
      '',
      '--x',
      head.replace('=a', '="b"'),
      '',
      '1',
      '--x--',
      'nor this',
    );
    expect(readForm(body, 'x').map(({ name, bytes }) => [name, bytes.toString()])).toEqual([
      ['a', ''],
      ['b', '1'],
    ]);
  });

  it.each([
    ['no boundary', text('hello')],
    ['no last boundary', text('--x', 'Content-Disposition: form-data; name=a', '', '1')],
    ['a part without a name', text('--x', 'Content-Disposition: form-data', '', '1', '--x--')],
    [
      'a part that is no form data',
      text('--x', 'Content-Disposition: attachment; name=a', '', '1', '--x--'),
    ],
    [
      'an encoding',
      text(
        '--x',
        'Content-Disposition: form-data; name=a',
        'Content-Transfer-Encoding: base64',
        '',
        'MQ==',
        '--x--',
      ),
    ],
    [
      'two names',
      text(
        '--x',
        'Content-Disposition: form-data; name=a',
        'content-disposition: form-data; name=b',
        '',
        '1',
        '--x--',
      ),
    ],
    ['an endless head', Buffer.concat([text('--x', ''), Buffer.alloc(5_000, 'a')])],
    [
      'too many parts',
      text(
        ...Array.from({ length: 200 }, () => [
          '--x',
          'Content-Disposition: form-data; name=a',
          '',
          '1',
        ]).flat(),
        '--x--',
      ),
    ],
    [
      'a broken boundary',
      text('--x and more', 'Content-Disposition: form-data; name=a', '', '1', '--x--'),
    ],
  ])('is refused with %s', (_name, body) => {
    expect(() => readForm(body, 'x')).toThrow(AppError);
  });

  it('has each field once, and fields are text', () => {
    const part = (name: string, bytes: Buffer) => ({
      name,
      filename: null,
      contentType: null,
      bytes,
    });
    const one = Buffer.from('1');
    expect(() => fieldsOf([part('model', one), part('model', one)])).toThrow(
      /"model" must come once/,
    );
    expect(fieldsOf([part('include[]', one), part('include[]', one)]).size).toBe(1);
    expect(() => fieldsOf([part('model', Buffer.from([0xff]))])).toThrow(/no text/);
  });

  it('tells its boundary in any of the usual ways', () => {
    expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc');
    expect(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"')).toBe('a b');
    for (const other of [
      undefined,
      '',
      'application/json',
      'multipart/form-data',
      'multipart/mixed; boundary=x',
    ])
      expect(boundaryOf(other)).toBe(null);
  });
});
