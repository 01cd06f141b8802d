internal import COpenSSL

/// A public key, made from its numbers, that signatures are verified with. Confined to the loop that made it.
package final class SignatureKey {
  package enum Numbers {
    /// Modulus and exponent, big-endian.
    case rsa(modulus: [UInt8], exponent: [UInt8])
    /// 32 bytes each.
    case p256(x: [UInt8], y: [UInt8])
    case ed25519([UInt8])
  }

  /// Always with SHA-256, but for Ed25519, which has its own. PSS has a salt of 32 bytes (RFC 7518, section 3.5).
  package enum Scheme { case pkcs1, pss, ecdsa, ed25519 }

  private let key: OpaquePointer

  /// Nil: the numbers are no key of their kind, such as a point that is not on the curve.
  package init?(_ numbers: Numbers) {
    let made: OpaquePointer? =
      switch numbers {
      case .rsa(let modulus, let exponent):
        apus_rsa_public_key(modulus, modulus.count, exponent, exponent.count)
      case .p256(let x, let y): x.count == 32 && y.count == 32 ? apus_p256_public_key([4] + x + y) : nil
      case .ed25519(let x): EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, x, x.count)
      }
    guard let made else {
      ERR_clear_error()
      return nil
    }
    key = made
  }

  deinit { EVP_PKEY_free(key) }

  /// Whether `signature`, in JOSE's form, is this key's over `message`. An ECDSA signature is two numbers of 32 bytes each
  /// (RFC 7518, section 3.4).
  package func verifies(_ signature: [UInt8], over message: UnsafeRawBufferPointer, _ scheme: Scheme) -> Bool {
    let result = apus_verify_signature(
      key, scheme.code, signature, signature.count, message.bindMemory(to: UInt8.self).baseAddress, message.count)
    // A failed verification leaves errors, which the next TLS call of this thread would read as its own.
    ERR_clear_error()
    return result == 1
  }
}

extension SignatureKey.Scheme {
  fileprivate var code: Int32 {
    switch self {
    case .pkcs1: 0
    case .pss: 1
    case .ecdsa: 2
    case .ed25519: 3
    }
  }
}
