import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Sessions of a rule")
struct SessionPlanTests {
  private static let key = SipKey(5, 6)
  private static let token = SessionToken(began: 1_000, used: 1_500, endpoint: 7)

  private static func cookies(
    absolute: TimeSpan? = nil, idle: TimeSpan? = nil, permanent: Bool = false, path: String = "/"
  ) -> SessionPlan {
    SessionPlan(
      SessionPolicy(
        .cookie(.init(name: "sid", path: path, isPermanent: permanent)), absoluteTimeout: absolute, idleTimeout: idle,
        key: key))
  }

  private static let header = SessionPlan(SessionPolicy(.header("x-session"), key: key))

  private static func find(_ plan: SessionPlan, _ fields: [(String, String)], now: UInt32 = 2_000) -> SessionToken? {
    plan.find(in: requestHead("/", fields), now: now)
  }

  // MARK: - Requests

  @Test("the token is found among other cookies, in any field and in quotes")
  func cookie() {
    let text = Self.token.text(Self.key)
    for fields in [
      [("cookie", "sid=\(text)")], [("cookie", "a=b; sid=\(text); c=d")],
      [("cookie", "a=b"), ("cookie", "sid=\(text)")],
      [("cookie", "sid=\"\(text)\"")], [("cookie", "sid=of-another-path; sid=\(text)")],
      [("cookie", "; =;sid=\(text)")],
    ] {
      #expect(Self.find(Self.cookies(), fields) == Self.token)
    }
    for fields in [
      [], [("cookie", "side=\(text)")], [("cookie", "SID=\(text)")], [("cookie", "sid=")], [("cookie", "sid")],
      [("x-session", text)], [("cookie", "sid=\(text)x")],
    ] {
      #expect(Self.find(Self.cookies(), fields) == nil)
    }
  }

  @Test("the token of a header, whose name has any case")
  func headerField() {
    let text = Self.token.text(Self.key)
    #expect(Self.find(Self.header, [("X-Session", text)]) == Self.token)
    #expect(Self.find(Self.header, [("x-session", "made-up"), ("x-session", text)]) == Self.token)
    #expect(Self.find(Self.header, [("cookie", "x-session=\(text)"), ("x-sessions", text)]) == nil)
  }

  @Test("a session ends with its absolute time and with its idle time, to the second")
  func timeouts() {
    let fields = [("cookie", "sid=" + Self.token.text(Self.key))]
    let absolute = Self.cookies(absolute: .seconds(600))
    #expect(Self.find(absolute, fields, now: 1_599) == Self.token)
    #expect(Self.find(absolute, fields, now: 1_600) == nil)
    let idle = Self.cookies(idle: .seconds(30))
    #expect(Self.find(idle, fields, now: 1_529) == Self.token)
    #expect(Self.find(idle, fields, now: 1_530) == nil)
    #expect(Self.find(Self.cookies(), fields, now: .max) == Self.token)
    // The clock of the proxy that made it was ahead.
    #expect(Self.find(absolute, fields, now: 900) == Self.token)
  }

  // MARK: - Answers

  @Test("a client that knows is told nothing, unless it counts when it came last")
  func next() {
    let plan = Self.cookies(absolute: .seconds(600))
    #expect(plan.next(after: nil, endpoint: 9, now: 2_000) == SessionToken(began: 2_000, used: 2_000, endpoint: 9))
    #expect(plan.next(after: Self.token, endpoint: 9, now: 2_000) == nil)
    let idle = Self.cookies(idle: .seconds(600))
    #expect(idle.next(after: Self.token, endpoint: 9, now: 1_500) == nil)
    #expect(
      idle.next(after: Self.token, endpoint: 9, now: 1_501) == SessionToken(began: 1_000, used: 1_501, endpoint: 7))
  }

  private static func told(_ plan: SessionPlan, isTLS: Bool = false, now: UInt32 = 1_000) -> [String] {
    let head = MessageHead()
    head.status = 200
    head.append(name: "X-Session", value: "the application's")
    head.append(name: "Set-Cookie", value: "own=1")
    plan.write(token, to: head, isTLS: isTLS, now: now)
    return head.lines
  }

  @Test("the attributes of the cookie")
  func attributes() {
    let text = Self.token.text(Self.key)
    let own = ["x-session: the application's", "set-cookie: own=1"]
    #expect(Self.told(Self.cookies()) == own + ["set-cookie: sid=\(text); Path=/; HttpOnly; SameSite=Strict"])
    #expect(
      Self.told(Self.cookies(absolute: .seconds(600), path: "/a"), isTLS: true)
        == own + ["set-cookie: sid=\(text); Path=/a; HttpOnly; SameSite=Strict; Secure"])
    let permanent = Self.cookies(absolute: .seconds(600), permanent: true)
    #expect(
      Self.told(permanent) == own + ["set-cookie: sid=\(text); Max-Age=600; Path=/; HttpOnly; SameSite=Strict"])
    #expect(
      Self.told(permanent, now: 1_300)
        == own + ["set-cookie: sid=\(text); Max-Age=300; Path=/; HttpOnly; SameSite=Strict"])
  }

  @Test("a header is the proxy's, whatever the application says")
  func headerAnswer() {
    #expect(Self.told(Self.header) == ["set-cookie: own=1", "x-session: \(Self.token.text(Self.key))"])
  }
}
