import Testing

@testable import MeshProxy

@Suite("Who stands back")
struct StandingTests {
  @Test("a client is known by an answer it has waited for, and no more once it takes requests back")
  func known() {
    var standing = Standing()
    #expect(standing.standsBack())
    standing.answered()
    #expect(!standing.standsBack())
    standing.gaveUp()
    #expect(standing.standsBack())
  }

  @Test("who asks for many things at once stands back, known or not")
  func many() {
    var standing = Standing()
    standing.answered()
    #expect(!standing.standsBack(requests: Standing.many))
    #expect(standing.standsBack(requests: Standing.many + 1))
  }
}
