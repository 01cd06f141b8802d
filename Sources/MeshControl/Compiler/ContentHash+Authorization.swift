import MeshCore
import MeshPolicy

// Lists are hashed in their order, which the proxy decides by: the first policy that matches is the one that metrics and logs name.
extension ContentHasher {
  mutating func add(_ authorization: Authorization) {
    add(authorization.mode.rawValue)
    add(authorization.modeSource)
    add(authorization.policies) { hasher, policy in
      hasher.add(policy.name)
      hasher.add(policy.action.name)
      if case .custom(let provider) = policy.action { hasher.add(provider) }
      hasher.add(policy.rules) { $0.add($1) }
      hasher.add(policy.authorizer) { $0.add($1) }
      if policy.isBroken { hasher.add("broken") }
    }
  }

  private mutating func add(_ rule: AuthorizationRule) {
    add(rule.sources) { hasher, source in
      for texts in [source.principals, source.namespaces, source.serviceAccounts, source.trustDomains] {
        hasher.add(texts) { $0.add($1) }
      }
      hasher.add(source.addresses) { $0.add($1.description) }
    }
    add(rule.operations) { hasher, operation in
      hasher.add(operation.methods) { $0.add($1) }
      hasher.add(operation.hosts) { $0.add($1) }
      hasher.add(operation.paths) { $0.add($1) }
    }
    add(rule.conditions) { hasher, condition in
      switch condition.subject {
      case .header(let name):
        hasher.add(0)
        hasher.add(name)
      case .claim(let name):
        hasher.add(1)
        hasher.add(name)
      case .headerPattern(let name):
        hasher.add(2)
        hasher.add(name)
      }
      hasher.add(condition.values) { $0.add($1) }
    }
  }

  private mutating func add<Value>(_ selection: Selection<Value>, _ each: (inout ContentHasher, Value) -> Void) {
    add(selection.values, each)
    add(selection.notValues, each)
  }

  private mutating func add(_ pattern: PathPattern) {
    let (kind, text) =
      switch pattern {
      case .exact(let text): (0, text)
      case .prefix(let text): (1, text)
      case .glob(let text): (2, text)
      case .template(let text): (3, text)
      case .regularExpression(let text): (4, text)
      }
    add(kind)
    add(text)
  }
}

extension ContentHasher {
  mutating func add(_ authorizer: ExternalAuthorizer) {
    add(authorizer.service.description)
    add(Int(authorizer.timeout.nanoseconds))
    switch authorizer.failure {
    case .allow: add(0)
    case .deny(let status): add(Int(status))
    }
    add(authorizer.fields) { hasher, names in hasher.add(names) { $0.add($1) } }
    add(authorizer.content) { hasher, content in
      hasher.add(Int(content.maximumBytes))
      hasher.add(content.allowsPart ? 1 : 0)
      hasher.add(content.isRaw ? 1 : 0)
    }
    switch authorizer.wire {
    case .grpc(let grpc):
      add(0)
      add(grpc.context) { hasher, pair in
        hasher.add(pair.key)
        hasher.add(pair.value)
      }
    case .http(let http):
      add(1)
      add(http.pathPrefix)
      add(http.requestFields) { $0.add($1) }
      add(http.responseFields) { $0.add($1) }
      add(http.denialFields) { hasher, names in hasher.add(names) { $0.add($1) } }
    }
  }
}
