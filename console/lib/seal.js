// Seal a wallet's credentials to the signer's public key, in this browser: HPKE (RFC 9180) in base mode with
// X25519, HKDF-SHA256 and AES-256-GCM, one message. The keys are WebCrypto's; nothing but what is sealed leaves.

const TEXT = new TextEncoder();
const VERSION = TEXT.encode("HPKE-v1");
const KEM = joined(TEXT.encode("KEM"), Uint8Array.of(0, 0x20));
const SUITE = joined(TEXT.encode("HPKE"), Uint8Array.of(0, 0x20, 0, 1, 0, 2));
const EMPTY = new Uint8Array();
const PURPOSE = "tradingtools wallet credentials 1";

function joined(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

const hex = (bytes) => [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
const decoded = (base64) => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
const encoded = (bytes) => btoa(String.fromCharCode(...bytes));

/** Whether this browser can: a secure address (HTTPS, or this machine) and X25519 in WebCrypto. */
export async function canSeal() {
  try {
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    return true;
  } catch {
    return false;
  }
}

async function hmac(key, ...parts) {
  // HMAC fills a key up with zeros: an empty one is as many zeros as WebCrypto wants to see.
  const raw = key.length ? key : new Uint8Array(32);
  const made = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", made, joined(...parts)));
}

const extract = (suite, salt, label, secret) => hmac(salt, VERSION, suite, TEXT.encode(label), secret);
const expand = async (suite, secret, label, info, length) =>
  (await hmac(secret, Uint8Array.of(0, length), VERSION, suite, TEXT.encode(label), info, Uint8Array.of(1))).slice(0, length);

/** Bytes sealed to a public key, bound to `info`: the encapsulated key, then the ciphertext. */
export async function seal(plain, publicKey, info) {
  const theirs = await crypto.subtle.importKey("raw", publicKey, "X25519", false, []);
  const own = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  const shown = new Uint8Array(await crypto.subtle.exportKey("raw", own.publicKey));
  const agreed = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, own.privateKey, 256));
  const shared = await expand(KEM, await extract(KEM, EMPTY, "eae_prk", agreed), "shared_secret", joined(shown, publicKey), 32);
  const context = joined(
    Uint8Array.of(0), await extract(SUITE, EMPTY, "psk_id_hash", EMPTY), await extract(SUITE, EMPTY, "info_hash", info),
  );
  const secret = await extract(SUITE, shared, "secret", EMPTY);
  const key = await crypto.subtle.importKey("raw", await expand(SUITE, secret, "key", context, 32), "AES-GCM", false, ["encrypt"]);
  const iv = await expand(SUITE, secret, "base_nonce", context, 12);
  return joined(shown, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain)));
}

/** Texts as bytes in which none can be taken for a part of another: each behind its length. */
const bound = (...texts) =>
  joined(...texts.map((text) => TEXT.encode(text)).flatMap((raw) => [Uint8Array.of(raw.length >> 8, raw.length & 255), raw]));

/** Credentials sealed for a new wallet, Base64. Throws where the key is not the one that `keyId` names. */
export async function sealedForNew(credentials, { keyId, publicKey }, { tenant, name, exchange, environment, maxOrderMicros }) {
  const key = decoded(publicKey);
  const digest = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", key))).slice(0, 32);
  if (digest !== keyId) throw new Error("The signer's key is not the one that its name says.");
  const info = bound(PURPOSE, "new", tenant, name, exchange, environment, maxOrderMicros);
  return encoded(await seal(TEXT.encode(JSON.stringify(credentials)), key, info));
}
