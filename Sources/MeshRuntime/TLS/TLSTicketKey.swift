/// Keys that encrypt session tickets: 80 random bytes (name, HMAC key, AES-256 key), the same for all workers of a
/// process, so that a session may resume on any of them.
package struct TLSTicketKey: Sendable {
  static let size = 80
  let bytes: [UInt8]

  package init() {
    var generator = SystemRandomNumberGenerator()
    bytes = (0..<Self.size).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  }
}
