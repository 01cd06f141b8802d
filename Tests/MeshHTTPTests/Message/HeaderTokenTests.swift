import MeshCore
import MeshHTTP
import Testing

@Suite("Known field names") struct HeaderTokenTests {
  private static func lookup(_ name: [UInt8]) -> HeaderToken { name.withUnsafeBytes { HeaderToken.lookup($0) } }

  @Test("every name is found in lower and upper case, and in no other spelling of one byte")
  func neighbours() {
    for token in HeaderToken.allCases where token != .other {
      let name = Array("\(token.name)".utf8)
      // What the comparison relies on: lower-case letters, digits and hyphens.
      #expect(name.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
      #expect(Self.lookup(name) == token)
      #expect(Self.lookup(Array("\(token.name)".uppercased().utf8)) == token)
      for place in name.indices {
        var other = name
        var found: [UInt8] = []
        for byte in UInt8.min...UInt8.max {
          other[place] = byte
          if Self.lookup(other) == token { found.append(byte) }
        }
        let lower = name[place]
        #expect(found == ((0x61...0x7A).contains(lower) ? [lower & 0xDF, lower] : [lower]))
      }
    }
  }
}
