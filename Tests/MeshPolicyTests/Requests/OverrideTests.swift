import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@Suite("Overrides of one request") struct OverrideTests {
  private static let all: OverridePolicy.Kinds = [.timeout, .attemptTimeout, .retries]

  private static func head(_ fields: [(String, String)]) -> MessageHead {
    let head = MessageHead()
    for (name, value) in fields { head.append(name: name, value: value) }
    return head
  }

  @Test(
    "durations are those of manifests",
    arguments: [
      ("250ms", 250), ("0s", 0), ("1m30s", 90_000), ("2h", 7_200_000), ("1h1m1s1ms", 3_661_001),
      ("8760h", 31_536_000_000),
      ("", nil), ("5", nil), ("ms", nil), ("1d", nil), ("1.5s", nil), ("-1s", nil), ("1s ", nil), ("100000s", nil),
      ("1s1s1s1s1s", nil), ("8761h", nil), ("1msx", nil),
    ] as [(String, Int64?)])
  func durations(_ text: String, _ milliseconds: Int64?) {
    let found = RequestOverrides(Self.head([("x-apus-timeout", text)]), Self.all)
    #expect(found?.timeout == milliseconds.map { .milliseconds($0) })
    #expect((found == nil) == (milliseconds == nil))
  }

  @Test("only fields of the kinds that are allowed count, and what cannot be read is told from what is not there")
  func kinds() {
    let head = Self.head([("X-Apus-Timeout", "1s"), ("x-apus-attempt-timeout", "2s"), ("x-apus-retries", "3")])
    #expect(
      RequestOverrides(head, Self.all)
        == RequestOverrides(timeout: .seconds(1), attemptTimeout: .seconds(2), retries: 3))
    #expect(RequestOverrides(head, [.retries]) == RequestOverrides(retries: 3))
    #expect(RequestOverrides(head, [])?.isEmpty == true)
    for value in ["101", "-1", "a", "", "1 ", "100000"] {
      #expect(RequestOverrides(Self.head([("x-apus-retries", value)]), Self.all) == nil)
      #expect(RequestOverrides(Self.head([("x-apus-retries", value)]), [.timeout])?.isEmpty == true)
    }
  }

  @Test("what is asked for takes the place of what the rule says, and 0 is its word for none")
  func application() {
    let rule = RouteTimeouts(request: .seconds(1), backendRequest: .seconds(2))
    #expect(RequestOverrides(timeout: .seconds(9)).apply(to: rule).request == .seconds(9))
    #expect(RequestOverrides(timeout: .seconds(9)).apply(to: rule).backendRequest == .seconds(2))
    #expect(RequestOverrides(timeout: .zero, attemptTimeout: .zero).apply(to: rule) == RouteTimeouts())
    let retry = RetryPolicy(attempts: 1, statusCodes: [503], backoff: .seconds(1))
    #expect(RequestOverrides(timeout: .zero).apply(to: retry) == retry)
    #expect(
      RequestOverrides(retries: 5).apply(to: retry)
        == RetryPolicy(attempts: 5, statusCodes: [503], backoff: .seconds(1)))
    #expect(RequestOverrides(retries: 2).apply(to: nil) == RetryPolicy(attempts: 2, statusCodes: []))
    #expect(RequestOverrides(retries: 0).apply(to: retry) == nil)
  }

  @Test("callers are service accounts")
  func callers() {
    let policy = OverridePolicy(kinds: [.timeout], callers: ["shop/web"])
    func kinds(_ namespace: String, _ account: String) -> OverridePolicy.Kinds {
      policy.kinds(for: SPIFFEID(trustDomain: "a", namespace: namespace, serviceAccount: account))
    }
    #expect(kinds("shop", "web") == [.timeout])
    #expect(kinds("shop", "other") == [] && kinds("web", "shop") == [])
    #expect(policy.kinds(for: nil) == [])
  }
}
