import Glibc
import MeshCore
import Testing

@testable import MeshProxy

@Suite("Who may change something over the admin port")
struct AdminGuardTests {
  static let token = String(repeating: "k", count: 43)
  let log = ProxyLog(name: "test")

  func guarded(_ token: String = token) -> AdminGuard { AdminGuard(token: Array(token.utf8), log: log) }

  @Test("only the token passes, with the scheme in any case", arguments: ["Bearer", "bearer", "BEARER"])
  func passes(scheme: String) {
    let admin = guarded()
    #expect(admin.refusal(Array("\(scheme) \(Self.token)".utf8), "drain", now: Instant(nanoseconds: 0)) == nil)
    #expect(admin.refused.isEmpty)
  }

  @Test(
    "everything else is refused with a challenge, and counted",
    arguments: [
      (nil, AdminGuard.Refusal.noToken), ("", .noToken), ("Bearer", .noToken), ("Bearer ", .noToken),
      ("Basic \(token)", .noToken), (token, .noToken), ("Bearer \(token)k", .wrongToken),
      ("Bearer \(token.dropLast())", .wrongToken), ("Bearer  \(token)", .wrongToken),
      ("Bearer \(token.uppercased())", .wrongToken), ("Bearer \(token.dropLast())j", .wrongToken),
    ] as [(String?, AdminGuard.Refusal)])
  func refuses(authorization: String?, reason: AdminGuard.Refusal) throws {
    let admin = guarded()
    let reply = try #require(admin.refusal(authorization.map { Array($0.utf8) }, "drain", now: Instant(nanoseconds: 0)))
    #expect(reply.status == 401 && reply.isChallenge)
    #expect(admin.refused == [reason: 1])
  }

  @Test("without a token, or with one that could be guessed, nothing can be changed", arguments: ["", "short"])
  func disabled(token: String) throws {
    let admin = guarded(token)
    let reply = try #require(admin.refusal(Array("Bearer \(token)".utf8), "drain", now: Instant(nanoseconds: 0)))
    #expect(reply.status == 403 && !reply.isChallenge)
    #expect(admin.refused == [.disabled: 1])
  }

  @Test("a file without a good token stops the start; none is a choice")
  func files() throws {
    var template = Array("/tmp/apus-admin-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    defer { close(descriptor) }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    #expect(AdminGuard.problem(of: "") == nil)
    #expect(AdminGuard.problem(of: "/no/such/file") != nil)
    #expect(AdminGuard.problem(of: path) != nil)
    let content = Array((Self.token + "\n").utf8)
    #expect(write(descriptor, content, content.count) == content.count)
    #expect(AdminGuard.problem(of: path) == nil)
    #expect(AdminGuard.read(path) == Array(Self.token.utf8))
  }
}
