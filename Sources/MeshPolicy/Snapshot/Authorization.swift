/// Who may call one port of a workload (kind `AuthorizationPolicy`), compiled by the control plane: only what concerns this port.
///
/// Order: `custom` rules ask their provider, `deny` rules refuse, `allow` rules admit. Where no rule decides, a port with an
/// `allow` policy refuses, and one without does as its mode says. `audit` policies are counted and decide nothing.
package struct Authorization: Hashable, Sendable {
  package var mode: AuthorizationMode
  /// The policy that the mode comes from, `shop/lock-down`. Empty: nobody's.
  package var modeSource: String
  package var policies: [AuthorizationPolicy]

  package init(
    mode: AuthorizationMode = .allow, modeSource: String = "", policies: [AuthorizationPolicy] = []
  ) {
    self.mode = mode
    self.modeSource = modeSource
    self.policies = policies
  }
}

/// What happens to a call that no rule speaks of.
package enum AuthorizationMode: String, Hashable, Sendable, CaseIterable {
  case allow
  /// Callers that proved an identity of the mesh.
  case meshOnly = "mesh-only"
  case deny
}

package enum AuthorizationAction: Hashable, Sendable {
  case allow, deny, audit
  /// A provider of this name decides.
  case custom(provider: String)

  package var name: String {
    switch self {
    case .allow: "allow"
    case .deny: "deny"
    case .audit: "audit"
    case .custom: "custom"
    }
  }
}

package struct AuthorizationPolicy: Hashable, Sendable {
  /// `shop/web-only`, for reasons, metrics and logs.
  package var name: String
  package var action: AuthorizationAction
  /// One is enough. None: the policy matches nothing.
  package var rules: [AuthorizationRule]
  /// Of `custom`: the provider. Nil: there is none of that name, and what the policy matches is refused.
  package var authorizer: ExternalAuthorizer?
  /// Its manifest has a mistake, and there is no version before: nobody knows whom it was to let in, so nobody is.
  package var isBroken: Bool

  package init(
    name: String, action: AuthorizationAction, rules: [AuthorizationRule], authorizer: ExternalAuthorizer? = nil,
    isBroken: Bool = false
  ) {
    self.name = name
    self.action = action
    self.rules = rules
    self.authorizer = authorizer
    self.isBroken = isBroken
  }

  /// Says no to every call, to proxies that know nothing of broken policies, too.
  package static func broken(_ name: String) -> AuthorizationPolicy {
    AuthorizationPolicy(name: name, action: .deny, rules: [AuthorizationRule()], isBroken: true)
  }
}

/// Matches where one of the sources, one of the operations and every condition match. Empty lists match all.
package struct AuthorizationRule: Hashable, Sendable {
  package var sources: [AuthorizationSource]
  package var operations: [AuthorizationOperation]
  package var conditions: [AuthorizationCondition]

  package init(
    sources: [AuthorizationSource] = [], operations: [AuthorizationOperation] = [],
    conditions: [AuthorizationCondition] = []
  ) {
    self.sources = sources
    self.operations = operations
    self.conditions = conditions
  }
}

/// One of `values`, if there are any, and none of `notValues`.
package struct Selection<Value: Hashable & Sendable>: Hashable, Sendable {
  package var values: [Value]
  package var notValues: [Value]

  package init(_ values: [Value] = [], not notValues: [Value] = []) {
    self.values = values
    self.notValues = notValues
  }

  package var isEmpty: Bool { values.isEmpty && notValues.isEmpty }
}

/// Who calls; everything must hold. Texts are globs: `*` is any run of characters but `/`, `**` any at all.
package struct AuthorizationSource: Hashable, Sendable {
  /// SPIFFE ids.
  package var principals: Selection<String>
  package var namespaces: Selection<String>
  /// `shop/web`.
  package var serviceAccounts: Selection<String>
  package var trustDomains: Selection<String>
  /// Of the connection's other end.
  package var addresses: Selection<AddressBlock>

  package init(
    principals: Selection<String> = Selection(), namespaces: Selection<String> = Selection(),
    serviceAccounts: Selection<String> = Selection(), trustDomains: Selection<String> = Selection(),
    addresses: Selection<AddressBlock> = Selection()
  ) {
    self.principals = principals
    self.namespaces = namespaces
    self.serviceAccounts = serviceAccounts
    self.trustDomains = trustDomains
    self.addresses = addresses
  }
}

/// What is asked for; everything must hold. Ports are no part of it: what is compiled for one port says nothing of others.
package struct AuthorizationOperation: Hashable, Sendable {
  /// Case-sensitive, as methods are.
  package var methods: Selection<String>
  /// In lower case, without port; globs in which `*` is any run of characters.
  package var hosts: Selection<String>
  package var paths: Selection<PathPattern>

  package init(
    methods: Selection<String> = Selection(), hosts: Selection<String> = Selection(),
    paths: Selection<PathPattern> = Selection()
  ) {
    self.methods = methods
    self.hosts = hosts
    self.paths = paths
  }

  /// Nothing but ports was asked for.
  package var isEmpty: Bool { methods.isEmpty && hosts.isEmpty && paths.isEmpty }
}

/// A condition on a path in canonical form (`CanonicalPath`), query excluded.
package enum PathPattern: Hashable, Sendable {
  case exact(String)
  /// Element-wise: `/abc` matches `/abc` and `/abc/d`, not `/abcd`.
  case prefix(String)
  /// `*` is any run of characters but `/`, `**` any at all.
  case glob(String)
  /// `{id}` and `{*}` stand for one element, which is not empty; `{**}` for any rest or part, slashes included.
  case template(String)
  /// Of the whole path, in the syntax of `LinearRegex`.
  case regularExpression(String)
}

/// A condition on a field of the request or a claim of its token. Of several values, one of `values` is enough and one of
/// `notValues` too many.
package struct AuthorizationCondition: Hashable, Sendable {
  package enum Subject: Hashable, Sendable {
    /// In lower case.
    case header(String)
    /// Keys joined by dots, as in `ClaimSet`.
    case claim(String)
    /// As `header`, with regular expressions of the whole value in the place of globs.
    case headerPattern(String)
  }

  package var subject: Subject
  /// Globs in which `*` is any run of characters: `*` alone asks that there is one.
  package var values: Selection<String>

  package init(_ subject: Subject, _ values: Selection<String>) {
    self.subject = subject
    self.values = values
  }
}
