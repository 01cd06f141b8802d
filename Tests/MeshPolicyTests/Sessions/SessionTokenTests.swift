import MeshCore
import MeshPolicy
import Testing

@Suite("Tokens of sessions")
struct SessionTokenTests {
  private static let key = SipKey(1, 2)
  private static let token = SessionToken(began: 1_000, used: 2_000, endpoint: 0xFEDC_BA98_7654_3210)

  private static func read(_ text: String, _ key: SipKey = key) -> SessionToken? {
    var text = text
    return text.withUTF8 { SessionToken(UnsafeRawBufferPointer($0), key) }
  }

  @Test("what was sealed is read")
  func roundTrip() {
    let text = Self.token.text(Self.key)
    #expect(text.utf8.count == SessionToken.characters)
    #expect(text.utf8.allSatisfy { UInt8(ascii: "-") == $0 || UInt8(ascii: "_") == $0 || isAlphanumeric($0) })
    #expect(Self.read(text) == Self.token)
    let extreme = SessionToken(began: .max, used: 0, endpoint: .max)
    #expect(Self.read(extreme.text(Self.key)) == extreme)
  }

  private func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  @Test("no character of it can be changed")
  func forgery() {
    let text = Array(Self.token.text(Self.key).utf8)
    for place in text.indices {
      for bit in UInt8(0)..<8 {
        var changed = text
        changed[place] ^= 1 << bit
        #expect(changed.withUnsafeBytes { SessionToken($0, Self.key) } == nil)
      }
    }
  }

  @Test("another rule's key, and another length, make none")
  func others() {
    let text = Self.token.text(Self.key)
    #expect(Self.read(text, SipKey(1, 3)) == nil)
    #expect(Self.read(text, SipKey(0, 2)) == nil)
    for other in ["", String(text.dropLast()), text + "A", String(repeating: "A", count: 32)] {
      #expect(Self.read(other) == nil)
    }
  }

  @Test("an endpoint's tag differs by address, port, backend and key, and shows none of them")
  func tags() throws {
    let orders = try #require(ServicePort("orders.shop:80"))
    let other = try #require(ServicePort("orders-v2.shop:80"))
    func tag(_ text: String, _ backend: ServicePort = orders, _ key: SipKey = Self.key) throws -> UInt64 {
      SessionToken.tag(of: try #require(SocketAddress(text, defaultPort: 1)), in: backend, key)
    }
    let tags = [
      try tag("10.0.0.1:80"), try tag("10.0.0.1:81"), try tag("10.0.0.2:80"), try tag("10.0.0.1:80", other),
      try tag("10.0.0.1:80", orders, SipKey(3, 4)), try tag("[::1]:80"),
    ]
    #expect(Set(tags).count == tags.count)
    #expect(try tag("10.0.0.1:80") == tags[0])
  }
}
