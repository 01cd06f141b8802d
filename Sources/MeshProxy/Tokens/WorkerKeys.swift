import MeshCore
import MeshPolicy
import MeshRuntime

/// The keys of one source as one worker uses them. Confined to its loop.
final class WorkerKeys {
  let source: TokenKeySource
  /// Nil until the control thread has had them once.
  private(set) var set: TokenKeySet?
  /// In the set's order; made at the first use, nil for what OpenSSL does not take for a key.
  private var made: [Int: SignatureKey?] = [:]
  private var nextNotice = Instant(nanoseconds: 0)

  init(_ source: TokenKeySource) { self.source = source }

  func take(_ set: TokenKeySet) {
    self.set = set
    made = [:]
  }

  /// Whether the token's signature is that of one of `candidates`.
  func verifies(_ token: UnverifiedToken, _ text: UnsafeRawBufferPointer, _ candidates: [Int]) -> Bool {
    let message = text.slice(0, token.signedCount)
    return candidates.contains { index in
      key(index)?.verifies(token.signature, over: message, token.algorithm.scheme) == true
    }
  }

  private func key(_ index: Int) -> SignatureKey? {
    if let known = made[index] { return known }
    let key = set.flatMap { SignatureKey($0.keys[index].numbers) }
    made[index] = .some(key)
    return key
  }

  /// A token names a key that is not in the set. True: the control thread is to hear of it, once a second at most.
  func shouldTell(now: Instant) -> Bool {
    guard now >= nextNotice else { return false }
    nextNotice = now + .seconds(1)
    return true
  }
}

extension TokenKey {
  fileprivate var numbers: SignatureKey.Numbers {
    switch kind {
    case .rsa: .rsa(modulus: first, exponent: second)
    case .p256: .p256(x: first, y: second)
    case .ed25519: .ed25519(first)
    }
  }
}

extension TokenAlgorithm {
  fileprivate var scheme: SignatureKey.Scheme {
    switch self {
    case .rs256: .pkcs1
    case .ps256: .pss
    case .es256: .ecdsa
    case .edDSA: .ed25519
    }
  }
}

/// The keys that a worker's ports need, and the tokens that it has verified with them. Confined to one worker loop.
final class WorkerTokens {
  private var keys: [TokenKeySource: WorkerKeys] = [:]
  let cache: TokenCache
  /// Grows with every change of keys and with every gate: what was verified before is verified anew.
  private(set) var version: UInt64 = 0
  /// Asks the control thread for newer keys.
  let refresh: @Sendable (TokenKeySource) -> Void

  init(_ random: inout SeededRandom, refresh: @escaping @Sendable (TokenKeySource) -> Void) {
    cache = TokenCache(&random)
    self.refresh = refresh
  }

  func keys(of source: TokenKeySource) -> WorkerKeys {
    if let known = keys[source] { return known }
    let made = WorkerKeys(source)
    keys[source] = made
    return made
  }

  /// Nil: no port needs them any more.
  func take(_ set: TokenKeySet?, of source: TokenKeySource) {
    version += 1
    if let set { keys(of: source).take(set) } else { keys[source] = nil }
  }

  /// Tells the verdicts of one gate from those of all others.
  func nextGate() -> UInt64 {
    version += 1
    return version
  }
}
