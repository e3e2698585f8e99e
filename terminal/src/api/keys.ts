// Keys to sign with. All of them are held by the browser's cryptography and cannot be read back, not even by this page.
// An Ed25519 key is made here; the venue gets to know only its public half. It may be kept in this browser; a secret
// for HMAC is in memory only.

export interface Signer {
  readonly apiKey: string;
  sign(payload: string): Promise<string>;
}

export interface KeyPair {
  /** In PEM, for the operator to register. */
  publicKey: string;
  privateKey: CryptoKey;
}

/** What this browser keeps. */
interface Kept extends KeyPair {
  apiKey: string;
}

const DATABASE = "crossbook-terminal";
const STORE = "keys";
const ENTRY = "current";

const bytes = (text: string) => new TextEncoder().encode(text);
const base64 = (data: ArrayBuffer) => btoa(String.fromCharCode(...new Uint8Array(data)));

/** Browsers have cryptography only on HTTPS and on this machine. */
export const hasCryptography = (): boolean => globalThis.crypto?.subtle !== undefined;

export async function hmacSigner(apiKey: string, secret: string): Promise<Signer> {
  const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return {
    apiKey,
    async sign(payload) {
      const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(payload)));
      return [...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    },
  };
}

export function ed25519Signer(apiKey: string, privateKey: CryptoKey): Signer {
  return {
    apiKey,
    sign: async (payload) => base64(await crypto.subtle.sign("Ed25519", privateKey, bytes(payload))),
  };
}

/** A new key pair, of which nobody can read the private half. */
export async function makeKeyPair(): Promise<KeyPair> {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  const encoded = base64(await crypto.subtle.exportKey("spki", pair.publicKey));
  const lines = encoded.match(/.{1,64}/g) ?? [];
  const publicKey = `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
  return { publicKey, privateKey: pair.privateKey };
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("storage failed"));
  });
}

async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error ?? new Error("storage failed"));
    });
  } finally {
    database.close();
  }
}

/** Keeps a key pair; one whose API key is not known yet waits for the operator. */
export async function keep(kept: Kept): Promise<void> {
  await within("readwrite", (store) => store.put(kept, ENTRY));
}

export async function kept(): Promise<Kept | null> {
  try {
    return (await within<Kept | undefined>("readonly", (store) => store.get(ENTRY))) ?? null;
  } catch {
    return null; // Storage may be switched off; then nothing is kept.
  }
}

/** Deletes a key pair, if it is the one that this browser keeps. */
export async function forgetPair(publicKey: string): Promise<void> {
  if ((await kept())?.publicKey === publicKey) await forget();
}

/** Deletes what this browser keeps. */
function forget(): Promise<void> {
  return new Promise((resolve) => {
    try {
      const request = indexedDB.deleteDatabase(DATABASE);
      request.onsuccess = request.onerror = request.onblocked = () => resolve();
    } catch {
      resolve();
    }
  });
}
