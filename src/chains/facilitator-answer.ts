/**
 * What a facilitator's answer is worth. Only a refusal that is known to come before any broadcast means "nothing happened";
 * everything unclear may have moved the money and is unknown. Reasons: x402 v1 and v2 facilitators, @x402 2.27, CDP.
 */
import type { Family } from '../config/config.ts';

export type FacilitatorOutcome =
  /** It says that the transfer happened, in `transaction`. */
  | { kind: 'success'; transaction: string }
  /** It refused before it sent anything. */
  | { kind: 'refused'; reason: string; message: string }
  /** Anything else: the money may have moved. */
  | { kind: 'unknown'; reason: string; transaction: string | null };

type Fields = Record<string, unknown>;

const REASON = /^[A-Za-z0-9_.:-]{1,120}$/;
const TRANSACTION: Record<Family, RegExp> = {
  eip155: /^0x[0-9a-fA-F]{64}$/,
  solana: /^[1-9A-HJ-NP-Za-km-z]{64,88}$/,
};

/** Reasons that are only ever given before a broadcast, and that are not another word for "already done". */
const BEFORE_BROADCAST: readonly RegExp[] = [
  /^insufficient_(funds|balance)$/,
  /^invalid_(network|scheme|x402_version|payment|payload|payment_requirements)$/,
  /^unsupported_(scheme|network|payment_flow|asset_transfer_method|payload_type)$/,
  /^payment_expired$/,
  /^invalid_exact_evm_insufficient_balance$/,
  /^invalid_exact_evm_(payload_)?(signature|scheme|recipient_mismatch|network_mismatch|undeployed_smart_wallet)$/,
  /^invalid_exact_evm_(payload_)?authorization_(value|value_mismatch|value_too_low|valid_before|valid_after|from_address_kyt|to_address_kyt)$/,
  /^invalid_exact_evm_(failed_to_parse_signature|missing_eip712_domain|eip3009_not_supported|token_(name|version)_mismatch)$/,
  /^invalid_exact_svm_(unsupported_scheme|network_mismatch|fee_payer_mismatch|fee_payer_not_managed_by_facilitator)$/,
  /^invalid_exact_svm_payload_(missing_fee_payer|mint_mismatch|memo_mismatch|memo_count|amount_mismatch|recipient_mismatch|signature_invalid|excessive_signers|no_transfer_instruction)$/,
  /^invalid_exact_svm_payload_unknown_[a-z]+_instruction$/,
  /^invalid_exact_svm_payload_transaction_(could_not_be_decoded|amount_mismatch|transfer_to_incorrect_ata|sender_ata_not_found|receiver_ata_not_found)$/,
  /^invalid_exact_svm_payload_transaction_(instructions(_[a-z_]+)?|not_a_transfer_instruction|fee_payer_[a-z_]+)$/,
  /^[a-z_]+_kyt$/,
];

/** `hasEarlierAttempt`: the same payment was handed on before, so even a plain refusal may describe our own success. */
export function readSettleAnswer(
  status: number,
  body: unknown,
  family: Family,
  hasEarlierAttempt: boolean,
): FacilitatorOutcome {
  if (!isObject(body) || typeof body['success'] !== 'boolean') {
    return { kind: 'unknown', reason: unclear(status), transaction: null };
  }
  const transaction = readTransaction(body['transaction'], family);
  if (body['success']) {
    if (status >= 200 && status < 300 && transaction !== null)
      return { kind: 'success', transaction };
    return { kind: 'unknown', reason: 'facilitator_garbage', transaction };
  }
  const reason = readReason(body['errorReason']);
  const isRefusal = transaction === null && isBusiness(status) && isBeforeBroadcast(reason);
  if (!isRefusal || hasEarlierAttempt) return { kind: 'unknown', reason, transaction };
  return { kind: 'refused', reason, message: readMessage(body['errorMessage'], reason) };
}

/** /verify never sends anything, so a clear "no" is a refusal, and no answer is no more than unknown. */
export function readVerifyAnswer(
  status: number,
  body: unknown,
  hasEarlierAttempt: boolean,
): FacilitatorOutcome | 'valid' {
  if (!isObject(body) || typeof body['isValid'] !== 'boolean') {
    return { kind: 'unknown', reason: unclear(status), transaction: null };
  }
  if (body['isValid'] && status >= 200 && status < 300) return 'valid';
  const reason = readReason(body['invalidReason']);
  const isRefusal = isBeforeBroadcast(reason) || SIMULATION_FAILED.test(reason);
  if (!isBusiness(status) || hasEarlierAttempt || !isRefusal) {
    return { kind: 'unknown', reason, transaction: null };
  }
  return { kind: 'refused', reason, message: readMessage(body['invalidMessage'], reason) };
}

/** A refusal may come as 200 or as 4xx; 408 and 429 come from something in front of it. */
function isBusiness(status: number): boolean {
  return (
    (status >= 200 && status < 300) ||
    (status >= 400 && status < 500 && status !== 408 && status !== 429)
  );
}

/** /verify sends nothing at all, so a simulation that failed is a refusal there; after /settle it may be our own success. */
const SIMULATION_FAILED = /^(invalid_exact_(evm|svm)_(payload_)?)?transaction_simulation_failed$/;

function isBeforeBroadcast(reason: string): boolean {
  return BEFORE_BROADCAST.some((pattern) => pattern.test(reason));
}

function unclear(status: number): string {
  if (status === 429) return 'facilitator_busy';
  if (status === 401 || status === 403) return 'facilitator_refused_us';
  return status >= 500 || status === 408 ? 'facilitator_failed' : 'facilitator_garbage';
}

function readTransaction(value: unknown, family: Family): string | null {
  if (typeof value !== 'string' || !TRANSACTION[family].test(value)) return null;
  return family === 'eip155' ? value.toLowerCase() : value;
}

function readReason(value: unknown): string {
  return typeof value === 'string' && REASON.test(value) ? value : 'facilitator_gave_no_reason';
}

function readMessage(value: unknown, reason: string): string {
  return `the facilitator refused the payment: ${typeof value === 'string' && value !== '' ? value.slice(0, 200) : reason}`;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
