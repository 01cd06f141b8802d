import MeshCore
import MeshPolicy

extension AuthorizationTableTests {
  static let web = AuthorizationSource(serviceAccounts: Selection(["shop/web"]))
  static let shop = AuthorizationSource(namespaces: Selection(["shop"]))
  static func to(
    _ paths: [PathPattern] = [], methods: [String] = [], hosts: [String] = []
  ) -> AuthorizationOperation {
    AuthorizationOperation(methods: Selection(methods), hosts: Selection(hosts), paths: Selection(paths))
  }

  // Statement by statement: as one literal it would take the compiler a minute.
  static let modes: [Grid] = {
    var grids: [Grid] = []
    grids.append(
      Grid(
        "without policies, the mode allow admits everybody", mode: .allow,
        expect: ["web": "AAAAAA", "api": "AAAAAA", "plain": "AAAAAA"]))
    grids.append(
      Grid(
        "the mode mesh-only admits who has an identity", mode: .meshOnly,
        expect: ["web": "AAAAAA", "api": "AAAAAA", "plain": "DDDDDD"]))
    grids.append(
      Grid("the mode deny admits nobody", mode: .deny, expect: ["web": "DDDDDD", "api": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "an allow policy without rules admits nobody, whatever the mode", Calls.policy("none", .allow), mode: .allow,
        expect: ["web": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "an empty rule matches everybody", Calls.policy("all", .allow, .everything), mode: .deny,
        expect: ["web": "AAAAAA", "plain": "AAAAAA"]))
    grids.append(
      Grid(
        "an empty rule of a deny policy matches everybody", Calls.policy("all", .deny, .everything),
        expect: ["web": "DDDDDD", "plain": "DDDDDD"]))
    return grids
  }()

  static let callers: [Grid] = {
    var grids: [Grid] = []
    grids.append(
      Grid(
        "an allow policy admits a service account and nobody else",
        Calls.policy("web", .allow, AuthorizationRule(from: web)),
        expect: ["web": "AAAAAA", "admin": "DDDDDD", "api": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "an allow policy for a namespace", Calls.policy("shop", .allow, AuthorizationRule(from: shop)), mode: .deny,
        expect: ["web": "AAAAAA", "admin": "AAAAAA", "api": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "who has no identity is not outside of a namespace when a policy allows",
        Calls.policy(
          "not-pay", .allow, AuthorizationRule(from: AuthorizationSource(namespaces: Selection(not: ["pay"])))),
        expect: ["web": "AAAAAA", "api": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "who has no identity is outside of every namespace when a policy denies",
        Calls.policy(
          "not-shop", .deny, AuthorizationRule(from: AuthorizationSource(namespaces: Selection(not: ["shop"])))),
        expect: ["web": "AAAAAA", "api": "DDDDDD", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "who has no identity is nobody that a deny policy names",
        Calls.policy("no-pay", .deny, AuthorizationRule(from: AuthorizationSource(namespaces: Selection(["pay"])))),
        expect: ["web": "AAAAAA", "api": "DDDDDD", "plain": "AAAAAA"]))
    grids.append(
      Grid(
        "SPIFFE ids by a glob whose wildcard stays within a part",
        Calls.policy(
          "ids", .allow,
          AuthorizationRule(from: AuthorizationSource(principals: Selection(["spiffe://cluster.local/ns/*/sa/web"])))),
        calls: ["GET /", "tcp"], expect: ["web": "AA", "admin": "DD", "api": "DD", "alien": "DD", "plain": "DD"]))
    grids.append(
      Grid(
        "any identity, and none",
        Calls.policy("any", .allow, AuthorizationRule(from: AuthorizationSource(principals: Selection(["**"])))),
        calls: ["GET /", "tcp"],
        expect: ["web": "AA", "alien": "AA", "plain": "DD"]))
    grids.append(
      Grid(
        "a deny policy for who is not any identity",
        Calls.policy("none", .deny, AuthorizationRule(from: AuthorizationSource(principals: Selection(not: ["**"])))),
        calls: ["GET /", "tcp"],
        expect: ["web": "AA", "alien": "AA", "plain": "DD"]))
    grids.append(
      Grid(
        "trust domains",
        Calls.policy(
          "own", .allow, AuthorizationRule(from: AuthorizationSource(trustDomains: Selection(["cluster.local"])))),
        calls: ["GET /", "tcp"],
        expect: ["web": "AA", "alien": "DD", "plain": "DD"]))
    grids.append(
      Grid(
        "an identity that is excepted",
        Calls.policy(
          "but", .allow,
          AuthorizationRule(
            from: AuthorizationSource(namespaces: Selection(["shop"]), serviceAccounts: Selection(not: ["shop/adm*"])))),
        calls: ["GET /", "tcp"], expect: ["web": "AA", "admin": "DD", "api": "DD", "plain": "DD"]))
    grids.append(
      Grid(
        "addresses need no identity",
        Calls.policy(
          "net", .allow,
          .init(
            from: AuthorizationSource(
              addresses: Selection([AddressBlock("192.168.0.0/16"), AddressBlock("10.1.0.1")].compactMap(\.self))))),
        calls: ["GET /", "tcp"], expect: ["web": "AA", "admin": "DD", "plain": "AA"]))
    grids.append(
      Grid(
        "addresses that are excepted",
        Calls.policy(
          "net", .deny,
          AuthorizationRule(
            from: AuthorizationSource(addresses: Selection(not: [AddressBlock("10.0.0.0/8")].compactMap(\.self))))),
        calls: ["GET /", "tcp"], expect: ["web": "AA", "api": "AA", "alien": "DD", "plain": "DD"]))
    grids.append(
      Grid(
        "one of several sources is enough",
        Calls.policy(
          "two", .allow, AuthorizationRule(sources: [web, AuthorizationSource(namespaces: Selection(["pay"]))])),
        calls: ["GET /", "tcp"], expect: ["web": "AA", "admin": "DD", "api": "AA", "plain": "DD"]))
    return grids
  }()

  static let requests: [Grid] = {
    var grids: [Grid] = []
    grids.append(
      Grid(
        "a method is no attribute of a byte stream, so nothing allows one",
        Calls.policy("get", .allow, AuthorizationRule(to: to(methods: ["GET"]))),
        expect: ["web": "AAADAD", "plain": "AAADAD"]))
    grids.append(
      Grid(
        "a path is no attribute of a byte stream, so every one is denied",
        Calls.policy("admin", .deny, AuthorizationRule(to: to([.prefix("/admin")]))),
        expect: ["web": "AAAADD", "plain": "AAAADD"]))
    grids.append(
      Grid(
        "a byte stream is only denied to the callers that the rule is about",
        Calls.policy("admin", .deny, AuthorizationRule(from: web, to: to([.prefix("/admin")]))),
        expect: ["web": "AAAADD", "api": "AAAAAA", "plain": "AAAAAA"]))
    grids.append(
      Grid(
        "a whole path", Calls.policy("p", .allow, AuthorizationRule(to: to([.exact("/orders")]))),
        expect: ["web": "DADADD"]))
    grids.append(
      Grid(
        "a path and what is below it", Calls.policy("p", .allow, AuthorizationRule(to: to([.prefix("/orders")]))),
        expect: ["web": "DAAADD"]
      ))
    grids.append(
      Grid(
        "the same with a slash at its end", Calls.policy("p", .allow, AuthorizationRule(to: to([.prefix("/orders/")]))),
        expect: ["web": "DAAADD"]))
    grids.append(
      Grid(
        "the root and all below it", Calls.policy("p", .allow, AuthorizationRule(to: to([.prefix("/")]))),
        expect: ["web": "AAAAAD"]))
    grids.append(
      Grid(
        "a glob stays within an element", Calls.policy("p", .allow, AuthorizationRule(to: to([.glob("/ord*")]))),
        expect: ["web": "DADADD"]))
    grids.append(
      Grid(
        "a glob over elements", Calls.policy("p", .allow, AuthorizationRule(to: to([.glob("/o**")]))),
        expect: ["web": "DAAADD"]))
    grids.append(
      Grid(
        "a template", Calls.policy("p", .allow, AuthorizationRule(to: to([.template("/orders/{id}")]))),
        calls: ["GET /orders/7", "GET /orders/7/items", "GET /orders/", "GET /orders", "GET /orders/7?x=/", "tcp"],
        expect: ["web": "ADDDAD"]))
    grids.append(
      Grid(
        "a template for any number of elements",
        Calls.policy("p", .allow, AuthorizationRule(to: to([.template("/a/{**}/z")]))),
        calls: ["GET /a/b/z", "GET /a/b/c/z", "GET /a/z", "GET /a/b/zz"], expect: ["web": "AADD"]))
    grids.append(
      Grid(
        "paths that are excepted",
        Calls.policy(
          "p", .allow, AuthorizationRule(to: AuthorizationOperation(paths: Selection(not: [.prefix("/admin")])))),
        expect: ["web": "AAAADD"]))
    grids.append(
      Grid(
        "methods that are excepted",
        Calls.policy("m", .deny, AuthorizationRule(to: AuthorizationOperation(methods: Selection(not: ["GET"])))),
        expect: ["web": "AAADAD"]))
    grids.append(
      Grid(
        "methods are case-sensitive, and others than the usual ones have their bytes",
        Calls.policy("m", .allow, AuthorizationRule(to: to(methods: ["PURGE", "get"]))),
        calls: ["PURGE /", "GET /", "purge /", "get /"], expect: ["web": "ADDA"]))
    grids.append(
      Grid(
        "hosts, whatever their letter case and port",
        Calls.policy("h", .allow, AuthorizationRule(to: to(hosts: ["orders.shop", "*.example.com"]))),
        calls: [
          "GET ORDERS.shop:80/", "GET orders.shop./", "GET api.example.com/", "GET a.b.example.com/",
          "GET example.com/",
          "GET orders.shop.evil/", "GET [2001:db8::1]:80/",
        ], expect: ["web": "AAAADDD"]))
    grids.append(
      Grid(
        "one of several operations is enough, each as a whole",
        Calls.policy(
          "two", .allow,
          AuthorizationRule(operations: [
            to([.exact("/")], methods: ["GET"]), to([.prefix("/orders")], methods: ["POST"]),
          ])),
        expect: ["web": "ADDADD"]))
    grids.append(
      Grid(
        "a rule for ports alone knows all of a byte stream",
        Calls.policy("ports", .allow, AuthorizationRule(from: web, to: to())),
        expect: ["web": "AAAAAA", "api": "DDDDDD"]))
    return grids
  }()

  static let conditions: [Grid] = {
    var grids: [Grid] = []
    grids.append(
      Grid(
        "a field",
        Calls.policy(
          "h", .allow, AuthorizationRule(when: [AuthorizationCondition(.header("x-tenant"), Selection(["a", "b*"]))])),
        calls: ["GET / x-tenant=a", "GET / X-Tenant=bee", "GET / x-tenant=c", "GET /", "GET / x-tenant=A", "tcp"],
        expect: ["web": "AADDDD", "plain": "AADDDD"]))
    grids.append(
      Grid(
        "of several values of a field, one is enough, and one is too many",
        Calls.policy(
          "h", .allow,
          AuthorizationRule(when: [AuthorizationCondition(.header("x-role"), Selection(["reader"], not: ["admin"]))])),
        calls: ["GET / x-role=reader", "GET / x-role=guest x-role=reader", "GET / x-role=reader x-role=admin"],
        expect: ["web": "AAD"]))
    grids.append(
      Grid(
        "a field that must be there, and one that must not",
        Calls.policy(
          "h", .allow,
          AuthorizationRule(when: [
            AuthorizationCondition(.header("x-a"), Selection(["*"])),
            AuthorizationCondition(.header("x-b"), Selection(not: ["*"])),
          ])),
        calls: ["GET / x-a=1", "GET / x-a=", "GET /", "GET / x-a=1 x-b=2"], expect: ["web": "AADD"]))
    grids.append(
      Grid(
        "claims of a token",
        Calls.policy(
          "c", .allow, AuthorizationRule(when: [AuthorizationCondition(.claim("groups"), Selection(["ops"]))])),
        calls: ["GET / jwt", "GET /", "tcp"], expect: ["web": "ADD", "plain": "ADD"]))
    grids.append(
      Grid(
        "claims below others, by a glob",
        Calls.policy(
          "c", .allow, AuthorizationRule(when: [AuthorizationCondition(.claim("realm.roles"), Selection(["read*"]))])),
        calls: ["GET / jwt", "GET /"], expect: ["web": "AD"]))
    grids.append(
      Grid(
        "without a token, nothing is known to be claimed by nobody, so an allow policy does not match",
        Calls.policy(
          "c", .allow, AuthorizationRule(when: [AuthorizationCondition(.claim("groups"), Selection(not: ["root"]))])),
        calls: ["GET / jwt", "GET /", "tcp"], expect: ["web": "ADD"]))
    grids.append(
      Grid(
        "without a token, a deny policy for all but some matches",
        Calls.policy(
          "c", .deny, AuthorizationRule(when: [AuthorizationCondition(.claim("groups"), Selection(not: ["ops"]))])),
        calls: ["GET / jwt", "GET /", "tcp"], expect: ["web": "ADD"]))
    grids.append(
      Grid(
        "without a token, a deny policy for some does not",
        Calls.policy(
          "c", .deny, AuthorizationRule(when: [AuthorizationCondition(.claim("groups"), Selection(["ops"]))])),
        calls: ["GET / jwt", "GET /", "tcp"], expect: ["web": "DAD"]))
    grids.append(
      Grid(
        "every condition counts",
        Calls.policy(
          "c", .allow,
          AuthorizationRule(
            from: web,
            when: [
              AuthorizationCondition(.claim("groups"), Selection(["dev"])),
              AuthorizationCondition(.header("x-a"), Selection(["1"])),
            ])),
        calls: ["GET / jwt x-a=1", "GET / jwt", "GET / x-a=1"], expect: ["web": "ADD", "api": "DDD"]))
    return grids
  }()

  static let orders: [Grid] = {
    var grids: [Grid] = []
    grids.append(
      Grid(
        "deny goes before allow", Calls.policy("all", .allow, .everything),
        Calls.policy("no-post", .deny, AuthorizationRule(to: to(methods: ["POST"]))),
        expect: ["web": "AAADAD", "plain": "AAADAD"]))
    grids.append(
      Grid(
        "several allow policies add up", Calls.policy("web", .allow, AuthorizationRule(from: web)),
        Calls.policy("read", .allow, AuthorizationRule(to: to([.prefix("/orders")], methods: ["GET"]))),
        expect: ["web": "AAAAAA", "api": "DAADDD", "plain": "DAADDD"]))
    grids.append(
      Grid(
        "a provider is asked first, whatever deny policies say", Calls.policy("deny", .deny, .everything),
        Calls.policy("ask", .custom(provider: "opa"), AuthorizationRule(to: to([.prefix("/admin")]))),
        expect: ["web": "DDDD??", "plain": "DDDD??"]))
    grids.append(
      Grid(
        "an audit policy decides nothing", Calls.policy("audit", .audit, .everything),
        Calls.policy("web", .allow, AuthorizationRule(from: web)), expect: ["web": "AAAAAA", "api": "DDDDDD"]))
    grids.append(
      Grid(
        "an audit policy is no allow policy, so the mode stays",
        Calls.policy("audit", .audit, AuthorizationRule(from: web)),
        mode: .meshOnly, expect: ["web": "AAAAAA", "api": "AAAAAA", "plain": "DDDDDD"]))
    grids.append(
      Grid(
        "a deny policy leaves the mode in force",
        Calls.policy("no-admin", .deny, AuthorizationRule(to: to([.prefix("/admin")]))),
        mode: .meshOnly, expect: ["web": "AAAADD", "plain": "DDDDDD"]))
    return grids
  }()
}
