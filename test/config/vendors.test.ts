import { describe, expect, it } from 'vitest';
import { describeConfig } from '../../src/config/describe.ts';
import { parseUsd } from '../../src/money.ts';
import { FILE, load, pathsOf } from '../support/config.ts';

const vendorOf = (channel: string) =>
  load(`channels: [{ id: a, provider: openai, ${channel} }]`).channels[0]?.vendor;

describe('the vendor of a channel', () => {
  it('is known from the host, and is what the operator says otherwise', () => {
    expect(vendorOf('base_url: https://api.x.ai/v1')).toBe('x-ai');
    expect(vendorOf('base_url: https://api.minimax.io/v1')).toBe('minimax');
    expect(vendorOf('base_url: https://generativelanguage.googleapis.com/v1beta/openai')).toBe(
      'google',
    );
    expect(vendorOf('base_url: https://api.openai.com.example.org/v1')).toBeNull();
    expect(vendorOf('base_url: https://gw.example.org/v1')).toBeNull();
    expect(vendorOf('base_url: https://gw.example.org/v1, vendor: xAI')).toBe('x-ai');
    expect(vendorOf('base_url: https://api.openai.com/v1, vendor: null')).toBeNull();
  });

  it('is none where another server stands in by a variable', () => {
    const keys = { OPENAI_API_KEY: 'sk-one-12345', ANTHROPIC_API_KEY: 'sk-two-12345' };
    expect(load(null, keys).channels.map(({ vendor }) => vendor)).toEqual(['openai', 'anthropic']);
    const other = load(null, { ...keys, OPENAI_BASE_URL: 'https://vllm.example.org/v1' });
    expect(other.channels[0]?.vendor).toBeNull();
  });

  it('has a name without blanks', () => {
    const wrong = FILE.replace('api_key: sk-test-key', 'vendor: "a b"');
    expect(pathsOf(wrong)).toEqual(['channels[0].vendor']);
  });
});

describe('the fee for own keys', () => {
  it('is nothing unless it is set', () => {
    expect(load(null).byok).toEqual({ percent: '0', perRequest: 0 });
    const set = load(`${FILE}\nbyok: { fee_percent: "2.5", fee_usd_per_request: "0.001" }`);
    expect(set.byok).toEqual({ percent: '2.5', perRequest: parseUsd('0.001') });
    expect(describeConfig(set)['byok']).toEqual({ feePercent: '2.5', feeUsdPerRequest: '0.001' });
  });

  it.each(['"101"', '"-1"', '"5%"', '5', '"1.1234567"'])('is no %s percent', (percent) => {
    expect(pathsOf(`${FILE}\nbyok: { fee_percent: ${percent} }`)).toEqual(['byok.fee_percent']);
  });
});
