internal import COpenSSL

/// Keys that encrypt session tickets: 80 random bytes (name, HMAC key, AES-256 key), the same for all workers of a
/// process, so that a session may resume on any of them.
package struct TLSTicketKey: Sendable {
  static let size = 80
  let secret: SecretBytes

  package init() {
    let secret = SecretBytes(capacity: Self.size) { room in
      if RAND_priv_bytes(room.bindMemory(to: UInt8.self).baseAddress, Int32(Self.size)) != 1 {
        // OpenSSL may use none of its generators (a FIPS configuration without the provider): it then makes no context either.
        var generator = SystemRandomNumberGenerator()
        for index in room.indices { room[index] = UInt8.random(in: .min ... .max, using: &generator) }
      }
      return Self.size
    }
    guard let secret else { preconditionFailure("no memory for a ticket key") }
    self.secret = secret
  }
}
