"""The project that the live page's tests look at: models with hooks and tests, operations in two languages, flows."""

FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        models:
          +post-hook:
            - {sql: "analyze {{ this }}", name: statistics}
        """,
    "seeds/raw_orders.csv": "id,customer,amount\n" + "".join(f"{i},c{i % 7},{i}.5\n" for i in range(1, 41)),
    "models/stg_orders.sql": """
        {{ config(tags=['nightly']) }}
        {# what came in #}
        select id, customer, amount from {{ ref('raw_orders') }}
        """,
    "models/fct_orders.sql": """
        {{ config(materialized='table', tags=['nightly'], pre_hook="set local work_mem = '8MB'") }}
        select customer, count(*) as orders, sum(amount) as amount
        from {{ ref('stg_orders') }}
        where customer <> 'it''s <b>bold</b>'
        group by customer
        """,
    "models/broken.sql": "{{ config(tags=['broken'], materialized='table') }} select 1 / (count(*) - count(*)) as n from {{ ref('stg_orders') }}",
    "models/shop.yml": """
        models:
          - name: fct_orders
            description: "What each customer has ordered, <i>so far</i>."
            columns:
              - {name: customer, description: Who, data_tests: [unique, not_null]}
          - name: stg_orders
            columns: [{name: id, data_tests: [unique]}]
        """,
    "operations/report/customers.sql": """
        {{ config(description='The largest customers.', parameters=[
             {'name': 'least', 'type': 'integer', 'default': 2, 'description': 'orders that a customer must have'},
             {'name': 'kind', 'type': 'text', 'required': true, 'choices': ['all', 'some']},
             {'name': 'password', 'type': 'text', 'secret': true, 'required': false}]) }}
        select customer, orders, amount, '{{ args.kind }}' as kind from {{ ref('fct_orders') }}
        where orders >= {{ args.least }} order by customer limit 5
        """,
    "operations/maintenance/empty.sql": "{{ config(confirm='Empty the table of orders?') }} select 'emptied' as done",
    "operations/slow.sql": "{{ config(parameters=[{'name': 'seconds', 'type': 'number', 'default': 60}]) }} "
                           "select pg_sleep({{ args.seconds }})",
    "flows/nightly.yml": """
        name: nightly
        description: Builds what is tagged nightly, then reports.
        schedule: {every: day, at: "02:00"}
        parameters:
          - {name: least, type: integer, default: 1, description: orders that a customer must have}
        nodes:
          - {name: load, transformation: {command: seed}}
          - {name: build, transformation: "tag:nightly", needs: [load]}
          - {name: report, operation: report/customers, needs: [build], args: {least: "{{ params.least }}", kind: all}}
        """,
    "flows/long.yml": """
        name: long
        nodes:
          - {name: first, script: ["true"]}
          - {name: sleep, operation: slow, needs: [first]}
          - {name: after, script: ["true"], needs: [sleep]}
        """,
    "flows/fragile.yml": """
        name: fragile
        nodes:
          - {name: first, script: ["true"]}
          - {name: look, script: {run: "test -e mended", shell: true}, needs: [first]}
          - {name: after, script: ["true"], needs: [look]}
        """,
}
