import MeshCore
import Testing

@Suite struct SocketAddressTests {
  @Test(
    "an address reads what it writes, in the canonical form of RFC 5952",
    arguments: [
      ("192.0.2.1:80", "192.0.2.1:80"), ("0.0.0.0:0", "0.0.0.0:0"), ("255.255.255.255:65535", "255.255.255.255:65535"),
      ("[::1]:80", "[::1]:80"), ("[::]:1", "[::]:1"), ("[2001:DB8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80"),
      ("[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80"), ("[1::]:80", "[1::]:80"),
      ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"), ("[64:ff9b::192.0.2.33]:80", "[64:ff9b::c000:221]:80"),
      ("[1:2:3:4:5:6:7::]:80", "[1:2:3:4:5:6:7:0]:80"),
    ])
  func roundTrip(text: String, canonical: String) {
    let address = SocketAddress(text)
    #expect(address?.description == canonical)
    #expect(SocketAddress(canonical) == address)
  }

  @Test("a bare address takes the default port")
  func defaultPort() {
    #expect(SocketAddress("192.0.2.1", defaultPort: 7)?.description == "192.0.2.1:7")
    #expect(SocketAddress("2001:db8::1", defaultPort: 7)?.description == "[2001:db8::1]:7")
    #expect(SocketAddress("[::1]", defaultPort: 7)?.description == "[::1]:7")
    #expect(SocketAddress("192.0.2.1") == nil)
  }

  @Test(
    "what is not an address is refused",
    arguments: [
      "", ":80", "a:80", "1.2.3:80", "1.2.3.4.5:80", "1.2.3.256:80", "1.2.3.04:80", "1.2.3.+4:80", "1.2.3.4:",
      "1.2.3.4:65536",
      "1.2.3.4:+1", "[::1:80", "[::1]80", "[:::]:80", "[1::2::3]:80", "[1:2:3:4:5:6:7]:80", "[1:2:3:4:5:6:7:8:9]:80",
      "[1:2:3:4:5:6:7:8::]:80", "[12345::]:80", "[g::]:80", "[-1::]:80", "[-0::]:80", "[+1::]:80", "[1.2.3.4::]:80",
      "[1.2.3.4]:80", "[fe80::1%eth0]:80", "[]:80",
    ])
  func rejected(text: String) {
    #expect(SocketAddress(text) == nil)
  }

  @Test("loopback and unspecified addresses are told apart from others")
  func classes() throws {
    for (text, isLoopback, isUnspecified) in [
      ("127.66.0.1:1", true, false), ("[::1]:1", true, false), ("[::ffff:127.0.0.1]:1", true, false),
      ("0.0.0.0:1", false, true), ("[::]:1", false, true), ("128.0.0.1:1", false, false), ("[::2]:1", false, false),
    ] {
      let address = try #require(SocketAddress(text))
      #expect(address.isLoopback == isLoopback, "\(text)")
      #expect(address.isUnspecified == isUnspecified, "\(text)")
    }
    #expect(SocketAddress.loopback(port: 5).description == "127.0.0.1:5")
  }
}
