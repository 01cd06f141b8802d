import MeshCore
import Testing

@Suite struct SPIFFEIDTests {
  @Test(
    "an identity reads what it writes",
    arguments: [
      "spiffe://cluster.local/ns/shop/sa/orders", "spiffe://a_b-c.d/ns/42/sa/web.v2",
    ])
  func roundTrip(uri: String) {
    #expect(SPIFFEID(uri)?.description == uri)
  }

  @Test(
    "anything that is not exactly the mesh's shape is refused",
    arguments: [
      "", "spiffe://", "http://a/ns/b/sa/c", "SPIFFE://a/ns/b/sa/c", "spiffe:///ns/b/sa/c", "spiffe://a/ns/b/sa/",
      "spiffe://a/ns//sa/c", "spiffe://a/ns/b/sa/c/", "spiffe://a/ns/b/sa/c/d", "spiffe://a/sa/b/ns/c",
      "spiffe://a/ns/b/sa/C",
      "spiffe://A/ns/b/sa/c", "spiffe://a:1/ns/b/sa/c", "spiffe://u@a/ns/b/sa/c", "spiffe://a/ns/b/sa/c?d",
      "spiffe://a/ns/b/sa/c#d", "spiffe://a/ns/b/sa/%63", "spiffe://a/ns/b/sa/..", "spiffe://a/ns/b/sa/.",
      "spiffe://a/ns/\u{661}/sa/c", "spiffe://a/ns/\u{BD}/sa/c", "spiffe://a/ns/b/sa/c\u{0}", " spiffe://a/ns/b/sa/c",
      "spiffe://a/ns/b.c/sa/d", "spiffe://" + String(repeating: "a", count: 256) + "/ns/b/sa/c",
      "spiffe://a/ns/" + String(repeating: "1", count: 64) + "/sa/c",
    ])
  func rejected(uri: String) {
    #expect(SPIFFEID(uri) == nil)
  }

  @Test("identities differ in every part")
  func parts() {
    let id = SPIFFEID(trustDomain: "a", namespace: "b", serviceAccount: "c")
    #expect(SPIFFEID("spiffe://a/ns/b/sa/c") == id)
    for other in ["spiffe://x/ns/b/sa/c", "spiffe://a/ns/x/sa/c", "spiffe://a/ns/b/sa/x"] {
      #expect(SPIFFEID(other) != id)
    }
  }
}
